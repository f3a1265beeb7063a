// Settings that the runtime reads from an account's saved properties.
import assert from 'node:assert/strict';
import { readSharedQueue, readSettings, type AccountSettings } from '../../nodes/account/settings';
import { load } from '../editor/bundle';

const production = { environment: 'production', member: '7', username: 'me', password: 'p' };

function settings(saved: Record<string, unknown>): AccountSettings {
  const read = readSettings(saved);
  assert.ok(!('key' in read), JSON.stringify(read));
  return read;
}

function problem(saved: Record<string, unknown>): string {
  const read = readSettings(saved);
  assert.ok('key' in read);
  return read.key;
}

describe('the settings of an account', () => {
  it('take the documented defaults where nothing is saved', () => {
    const { login: _, ...read } = settings({});
    assert.deepEqual(read, {
      isSandbox: true,
      origin: 'sandbox',
      member: '1',
      authOrigin: 'sandbox',
      authUrl: 'https://api.appnexus.com',
      serviceUrl: 'https://streaming-data.appnexus.com',
      limits: {
        postsPerSecond: 100,
        usersPerSecond: 1000,
        maxConcurrent: 15,
        usersPerPost: 1000,
        blocksPerUser: 100,
        maxBodyBytes: 1_000_000,
      },
      readLimits: { readsPerSecond: 1000, apiReadsPerMinute: 100 },
      sandbox: { warmUpMinutes: 20, defaultExpirationMinutes: 43_200 },
      queue: 'disk',
      database: null,
      queueMaxEntries: 5_000_000,
      queueMaxBytes: 2_048_000_000,
      warnAfterMs: 120_000,
      encryptIds: false,
      tls: '',
      proxy: '',
    });
  });

  it('are the same for a new account of the form as for one with nothing saved', () => {
    const { defaults } = load('account').definition;
    const saved = Object.fromEntries(Object.entries(defaults).map(([name, { value }]) => [name, value]));
    assert.deepEqual(readSettings(saved), readSettings({}));
  });

  it('take numbers for texts and texts for numbers, and leave blanks around them out', () => {
    const read = settings({
      ...production,
      member: 7,
      username: 12,
      password: 34,
      postsPerSecond: ' 50 ',
      queueMaxMb: 5,
    });
    assert.deepEqual([read.member, read.limits.postsPerSecond, read.queueMaxBytes], ['7', 50, 5_000_000]);
    assert.deepEqual(read.login, { method: 'password', username: '12', password: '34' });
    assert.equal(settings({ ...production, member: ' 7 ' }).member, '7');
  });

  it('ignore blanks around values from the environment', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBg\n-----END PRIVATE KEY-----\n';
    const custom = { environment: 'custom', authUrl: 'http://a', serviceUrl: 'http://s/api', member: '7' };
    const numbers = { postsPerSecond: '5', usersPerSecond: '6', maxConcurrent: '7', queueMaxEntries: '8' };
    const databaseUrl = 'postgres://u:p@host/db';
    const accounts: Record<string, string>[] = [
      { environment: 'sandbox', queue: 'memory' },
      { ...production, ...numbers, queue: 'disk', encryptIds: 'true', tls: 'tls', proxy: 'proxy' },
      {
        ...custom,
        authMethod: 'password',
        username: 'me',
        password: 'p',
        queue: 'memory',
        encryptIds: 'true',
      },
      { ...custom, authMethod: 'jwt', username: 'me', keyName: 'k', privateKey: key, encryptIds: 'false' },
      { ...production, queue: 'shared', databaseBy: 'url', databaseUrl, databaseTls: 'tls', queueMaxMb: '9' },
      // What is wrong stays as wrong.
      { environment: 'production' },
      { ...production, password: '' },
      { ...production, member: 'x' },
      { ...custom, username: 'me', password: 'p', authUrl: 'not an address' },
      { ...custom, username: 'me', password: 'p', serviceUrl: 'ftp://a' },
      { ...custom, authMethod: 'jwt', username: 'me' },
      { ...production, queue: 'shared', databaseBy: 'url', databaseUrl, encryptIds: 'true' },
      { ...production, queue: 'shared' },
      {
        ...production,
        queue: 'shared',
        databaseHost: 'a, b:5433',
        databaseName: 'n',
        databaseUser: 'u',
        databasePort: '6',
      },
    ];
    const secrets = ['password', 'privateKey'];
    for (const account of accounts) {
      for (const [before, after] of [
        ['', ' '],
        ['\t ', '\r\n'],
      ] as const) {
        const padded = Object.entries(account).map(([name, value]) => [
          name,
          secrets.includes(name) || value === '' ? value : `${before}${value}${after}`,
        ]);
        assert.deepEqual(
          readSettings(Object.fromEntries(padded)),
          readSettings(account),
          account.environment,
        );
      }
    }
  });

  it('leave a password as it is, blanks too', () => {
    assert.deepEqual(settings({ ...production, password: ' p ' }).login, {
      method: 'password',
      username: 'me',
      password: ' p ',
    });
  });

  it('know one service by one origin, however its address is written', () => {
    const custom = { ...production, environment: 'custom' };
    const origin = (serviceUrl: string): string =>
      settings({ ...custom, serviceUrl, authUrl: 'http://a' }).origin;
    assert.equal(origin('HTTPS://Streaming-Data.appnexus.com:443/'), settings(production).origin);
    assert.equal(origin('http://there:8080/api/'), 'http://there:8080/api');
    assert.notEqual(origin('http://there'), settings({}).origin);
  });

  it('have a database where the queue is shared, and only there', () => {
    const databaseUrl = ' postgres://u:p@host/db ';
    const shared = settings({ queue: 'shared', databaseBy: 'url', databaseUrl, databaseTls: 'tls' });
    assert.deepEqual(
      [shared.queue, shared.database],
      ['shared', { url: 'postgres://u:p@host/db', tls: 'tls' }],
    );
    assert.equal(settings({ queue: 'memory', databaseUrl }).database, null);
    assert.equal(problem({ queue: 'shared', databaseBy: 'url' }), 'error.database_url_missing');
    assert.deepEqual(readSettings({ queue: 'shared', databaseBy: 'url', databaseUrl: '${NOT_THERE}' }), {
      key: 'error.variable_unset',
      params: { property: 'databaseUrl', name: 'NOT_THERE' },
    });
    // A form may be tested before the rest of it is filled in.
    assert.deepEqual(
      readSharedQueue({ databaseBy: 'url', databaseUrl, environment: 'production', member: '7' }),
      {
        origin: 'https://streaming-data.appnexus.com',
        member: '7',
        database: { url: 'postgres://u:p@host/db', tls: '' },
      },
    );
  });

  it('take the fields of a database for the URL that means the same', () => {
    const base = { queue: 'shared', databaseHost: 'db.example', databaseName: 'audience' };
    const url = (fields: object): string | undefined => settings({ ...base, ...fields }).database?.url;
    assert.equal(url({}), 'postgres://:@db.example:5432/audience');
    assert.equal(
      url({ databasePort: '6543', databaseUser: ' me ', databasePassword: ' p@ss/w?#:% ' }),
      'postgres://me:%20p%40ss%2Fw%3F%23%3A%25%20@db.example:6543/audience',
    );
    assert.equal(
      url({ databaseHost: 'one, two:5433 ,::1,[::2]:7', databasePort: 9 }),
      'postgres://:@one:9,two:5433,[::1]:9,[::2]:7/audience',
    );
    assert.equal(url({ databaseHost: '/run/pg' }), 'postgres://:@%2Frun%2Fpg:5432/audience');
    assert.equal(problem({ queue: 'shared' }), 'error.database_host_missing');
    for (const databaseHost of ['postgres://host', 'host/db', 'me@host', 'a b', 'a,,b', 'host:x', ':5'])
      assert.equal(problem({ ...base, databaseHost }), 'error.database_host_invalid', databaseHost);
    assert.equal(problem({ ...base, databaseName: ' ' }), 'error.database_name_missing');
    assert.equal(problem({ ...base, databasePort: '65536' }), 'error.databasePort_range');
    assert.equal(problem({ ...base, databaseBy: 'name' }), 'error.database_by_unknown');
    assert.equal(settings({ databaseHost: 'a b', databaseBy: 'name' }).database, null);
    const unset = settings({ ...base, databaseUrl: '${NOT_THERE}' });
    assert.equal(unset.database?.url, url({}), 'a URL is not read');
    for (const property of ['databaseHost', 'databasePort', 'databaseUser', 'databasePassword'])
      assert.deepEqual(readSettings({ ...base, [property]: '${NOT_THERE}' }), {
        key: 'error.variable_unset',
        params: { property, name: 'NOT_THERE' },
      });
  });

  it('encrypt user ids only on a disk of this machine, and only for a clear yes', () => {
    for (const yes of [true, 'true', ' True\n', 'TRUE', 'yes', 'on', '1'])
      assert.equal(settings({ encryptIds: yes }).encryptIds, true);
    for (const no of [false, 'false', 'No', 'off', 0, '0'])
      assert.equal(settings({ encryptIds: no }).encryptIds, false);
    assert.equal(settings({ encryptIds: true, queue: 'memory' }).encryptIds, false);
    for (const neither of ['', 'maybe', 'ture', 2, '2', [], {}])
      assert.equal(problem({ encryptIds: neither }), 'error.encrypt_unknown');
    const databaseUrl = 'postgres://u:p@host/db';
    assert.equal(
      problem({ encryptIds: true, queue: 'shared', databaseBy: 'url', databaseUrl }),
      'error.encrypt_shared',
    );
  });

  it('do not take a variable that is not set for a value', () => {
    const unset = '${NOT_THERE}';
    for (const property of [
      'environment',
      'member',
      'username',
      'password',
      'queue',
      'postsPerSecond',
      'warnAfterMinutes',
      'encryptIds',
      'tls',
    ]) {
      const read = readSettings({ ...production, [property]: unset });
      assert.deepEqual(read, { key: 'error.variable_unset', params: { property, name: 'NOT_THERE' } });
    }
    // What is not needed is not asked for.
    assert.ok(settings({ member: unset, username: unset, authUrl: unset }).isSandbox);
  });

  it('name the problem of an invalid value', () => {
    assert.equal(problem({ environment: 'moon' }), 'error.environment_unknown');
    assert.equal(problem({ ...production, member: {} }), 'error.member_missing');
    assert.equal(problem({ ...production, member: '7a' }), 'error.member_invalid');
    assert.equal(problem({ ...production, usersPerSecond: '' }), 'error.usersPerSecond_range');
    assert.equal(problem({ ...production, maxConcurrent: true }), 'error.maxConcurrent_range');
    assert.equal(
      problem({ ...production, environment: 'custom', serviceUrl: 'ftp://a' }),
      'error.service_url_invalid',
    );
    assert.equal(
      problem({ ...production, authMethod: 'jwt', keyName: 'k', privateKey: 'no' }),
      'error.key_invalid',
    );
  });
});
