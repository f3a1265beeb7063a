// The account node in the editor: defaults, validators, labels.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { accountSchema, numberProperties, numbers } from '../../nodes/account/schema';
import { problemsInForm } from '../../nodes/shared/saved';
import { meaningOf, exceedsDocumented } from '../../nodes/account/editor/limits';
import { load } from './bundle';

const { type, definition, nodeWith, errorsOf } = load('account');
const production = { environment: 'production', member: '1661' };
const sharedByFields = { queue: 'shared', databaseHost: 'db', databaseName: 'audience' };
const pem = (kind: string) =>
  `-----BEGIN ${kind}-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAA==\n-----END ${kind}-----\n`;

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe('the account node in the editor', () => {
  it('saves every property of the design with its default', () => {
    assert.equal(type, 'xandr-account');
    const defaults = Object.entries(definition.defaults).map(([name, { value }]) => [name, value]);
    assert.deepEqual(plain(Object.fromEntries(defaults)), {
      name: '',
      environment: 'sandbox',
      authUrl: 'https://api.appnexus.com',
      serviceUrl: 'https://streaming-data.appnexus.com',
      member: '',
      authMethod: 'password',
      keyName: '',
      postsPerSecond: 100,
      usersPerSecond: 1000,
      maxConcurrent: 15,
      usersPerPost: 1000,
      blocksPerUser: 100,
      maxBodyBytes: 1_000_000,
      readsPerSecond: 1000,
      apiReadsPerMinute: 100,
      sandboxWarmUpMinutes: 20,
      sandboxDefaultExpirationMinutes: 43_200,
      queue: 'disk',
      databaseBy: 'fields',
      databaseHost: '',
      databasePort: 5432,
      databaseName: '',
      databaseUser: '',
      databaseTls: '',
      queueMaxEntries: 5_000_000,
      queueMaxMb: 2048,
      warnAfterMinutes: 2,
      encryptIds: false,
      tls: '',
      proxy: '',
    });
    assert.equal(definition.category, 'config');
  });

  it('keeps all secrets in credentials of the type password', () => {
    const types = Object.entries(definition.credentials!).map(([name, credential]) => [
      name,
      credential.type,
    ]);
    assert.deepEqual(plain(Object.fromEntries(types)), {
      username: 'text',
      password: 'password',
      privateKey: 'password',
      databaseUrl: 'password',
      databasePassword: 'password',
    });
  });

  it("uses Node-RED's own nodes for TLS and proxy, both optional", () => {
    const tls = { value: '', type: 'tls-config', required: false };
    assert.deepEqual(plain(definition.defaults.tls), tls);
    assert.deepEqual(plain(definition.defaults.databaseTls), tls);
    assert.deepEqual(plain(definition.defaults.proxy), { value: '', type: 'http proxy', required: false });
  });

  it('is complete as it comes: the sandbox asks for nothing', () => {
    assert.deepEqual(errorsOf(), []);
    assert.deepEqual(errorsOf({ credentials: { username: '', has_password: false } }), []);
  });

  it('checks the figures of the sandbox where there is one', () => {
    const wrong = { sandboxWarmUpMinutes: '', sandboxDefaultExpirationMinutes: -1 };
    assert.match(
      errorsOf({ sandboxWarmUpMinutes: '' }).join(),
      /^New segments wait: a whole number of minutes/,
    );
    assert.match(errorsOf(wrong).join(), /Default expiration: a whole number of minutes/);
    assert.deepEqual(errorsOf({ sandboxWarmUpMinutes: 0, sandboxDefaultExpirationMinutes: '${DAYS}' }), []);
    assert.deepEqual(errorsOf({ ...production, ...wrong }), [], 'the fields do not show');
  });

  it('asks for a member outside the sandbox', () => {
    assert.match(errorsOf({ environment: 'production' }).join(), /^Member ID: needed outside the sandbox/);
    assert.match(errorsOf({ environment: 'custom' }).join(), /^Member ID: needed outside the sandbox/);
    assert.match(errorsOf({ ...production, member: 'sixteen' }).join(), /^Member ID: digits only/);
    assert.match(errorsOf({ ...production, member: '0' }).join(), /^Member ID: digits only/);
    assert.deepEqual(errorsOf({ ...production, member: 1661 }), []);
    assert.deepEqual(errorsOf({ ...production, member: '${MEMBER}' }), []);
  });

  it('asks for the login that the method needs, as far as the editor knows the credentials', () => {
    const withCredentials = (credentials: object, authMethod = 'password') =>
      errorsOf({ ...production, keyName: 'k', authMethod, credentials }).join();
    assert.match(withCredentials({}), /^Username: needed/);
    assert.match(withCredentials({ username: 'u' }), /^Password: needed/);
    assert.equal(withCredentials({ username: 'u', has_password: true }), '');
    assert.equal(withCredentials({ username: 'u', password: 'p' }), '');
    assert.match(withCredentials({ username: 'u', has_password: true }, 'jwt'), /^Private key: needed/);
    assert.equal(withCredentials({ username: 'u', has_privateKey: true }, 'jwt'), '');
    assert.deepEqual(errorsOf(production), [], 'not loaded is not missing');
  });

  it('asks for the database of a shared queue, as far as the editor knows the credentials', () => {
    const withCredentials = (credentials: object, queue = 'shared') =>
      errorsOf({ queue, databaseBy: 'url', credentials }).join();
    assert.match(withCredentials({}), /^Database URL: needed/);
    assert.match(withCredentials({ databaseUrl: 'host' }), /^Database URL: enter an address that begins/);
    assert.equal(withCredentials({ has_databaseUrl: true }), '');
    assert.equal(withCredentials({ databaseUrl: 'postgres://host/db' }), '');
    assert.equal(withCredentials({}, 'disk'), '');
    assert.deepEqual(errorsOf({ queue: 'shared', databaseBy: 'url' }), [], 'not loaded is not missing');
  });

  it('asks for host and name of the database of a shared queue, where the address is in fields', () => {
    const errors = (fields: object, queue = 'shared') => errorsOf({ queue, ...fields });
    const sentences = errors({ databasePort: '' });
    assert.match(
      sentences.join('\n'),
      /^Database host: needed.*\nPort: a whole number.*\nDatabase name: needed/,
    );
    assert.deepEqual(errors({ databaseHost: 'db.example', databaseName: 'audience' }), []);
    assert.deepEqual(
      errors({ databaseHost: '${HOST}', databaseName: '${NAME}', databasePort: '${PORT}' }),
      [],
    );
    const wrong = errors({ databaseHost: 'postgres://db/audience', databaseName: 'audience' });
    assert.match(wrong.join(), /^Database host: enter the name or address of the host only/);
    assert.deepEqual(errors({ databasePort: 'x' }, 'disk'), [], 'the fields do not show');
    assert.deepEqual(errors({ databaseBy: 'url', databaseHost: 'a b' }), [], 'the fields do not show');
    assert.match(errors({ databaseBy: 'name' }).join(), /^Database address: choose/);
  });

  it('encrypts no shared queue, and asks two accounts of a member for the same', () => {
    const database = { databaseHost: 'db', databaseName: 'audience' };
    const shared = errorsOf({ queue: 'shared', encryptIds: true, ...database }).join();
    assert.match(shared, /^Encryption: a queue in a shared database cannot be encrypted/);
    for (const queue of ['disk', 'memory']) assert.deepEqual(errorsOf({ queue, encryptIds: true }), []);
    assert.match(errorsOf({ encryptIds: 'maybe' }).join(), /^Encryption: choose true or false/);
    assert.deepEqual(errorsOf({ encryptIds: '${ENCRYPT}' }), []);
  });

  it('asks for the name of a key', () => {
    assert.match(errorsOf({ ...production, authMethod: 'jwt' }).join(), /^Key name: needed/);
    assert.deepEqual(errorsOf({ ...production, authMethod: 'password' }), []);
  });

  it('recognises public and encrypted keys in place of a private key', () => {
    const answer = (privateKey: string) =>
      errorsOf({
        ...production,
        authMethod: 'jwt',
        keyName: 'k',
        credentials: { username: 'u', privateKey },
      }).join();
    assert.equal(answer(pem('PRIVATE KEY')), '');
    assert.equal(answer(pem('RSA PRIVATE KEY')), '');
    assert.equal(answer('${XANDR_KEY}'), '');
    assert.match(answer(pem('PUBLIC KEY')), /is the public key/);
    assert.match(answer(pem('ENCRYPTED PRIVATE KEY')), /passphrase/);
    assert.match(answer('-----BEGIN PRIVATE KEY-----\nMIIE'), /not an RSA private key/);
    assert.match(answer('ssh-rsa AAAA'), /not an RSA private key/);
  });

  it('takes only http and https addresses, without a login in them, and only looks when they are used', () => {
    const custom = { environment: 'custom', member: '1' };
    assert.deepEqual(
      errorsOf({ ...custom, authUrl: 'http://127.0.0.1:8080', serviceUrl: 'https://gate/x' }),
      [],
    );
    for (const bad of ['', 'api.appnexus.com', 'ftp://host', 'https://']) {
      assert.match(errorsOf({ ...custom, authUrl: bad }).join(), /^API URL: enter an address/, bad);
      assert.match(errorsOf({ ...custom, serviceUrl: bad }).join(), /^Audience URL: enter an address/, bad);
      assert.deepEqual(errorsOf({ authUrl: bad, serviceUrl: bad }), []);
    }
    assert.match(
      errorsOf({ ...custom, authUrl: 'https://u:p@host' }).join(),
      /leave username and password out/,
    );
  });

  it('takes whole numbers within their range, as text or as number, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...numberProperties),
        fc.integer({ min: -10, max: 2_000_000_000 }),
        (name, n) => {
          const base = name === 'databasePort' ? sharedByFields : {};
          const inRange = n >= numbers[name].min && n <= numbers[name].max;
          for (const value of [n, String(n)]) {
            assert.equal(errorsOf({ ...base, [name]: value }).length, inRange ? 0 : 1);
          }
        },
      ),
    );
    for (const name of numberProperties) {
      const base = name === 'databasePort' ? sharedByFields : {};
      for (const bad of ['', 'ten', '1.5', '1e2', '-1']) {
        assert.match(
          errorsOf({ ...base, [name]: bad }).join(),
          /: a whole number (of \w+ )?from \d+ to \d+\.$/,
          `${name} ${bad}`,
        );
      }
      assert.deepEqual(errorsOf({ [name]: '${LIMIT}' }), []);
      assert.deepEqual(errorsOf({ [name]: undefined }), [], 'a property that is not saved takes its default');
    }
  });

  it('refuses choices that do not exist', () => {
    assert.match(errorsOf({ environment: 'staging' }).join(), /^Environment: choose/);
    assert.match(errorsOf({ authMethod: 'oauth' }).join(), /^Log in with: choose/);
    assert.match(errorsOf({ queue: 'tape' }).join(), /^Store queue: choose/);
  });

  it('requires nothing that depends on an environment from a variable', () => {
    assert.deepEqual(errorsOf({ environment: '${STAGE}', credentials: {} }), []);
  });

  it('is called by its name, its environment or its member', () => {
    const label = (properties: object) => definition.label.call(nodeWith(properties));
    assert.equal(label({ name: 'EU seat' }), 'EU seat');
    assert.equal(label({}), 'sandbox');
    assert.equal(label(production), 'member 1661');
    assert.equal(label({ environment: 'production' }), 'production');
    const custom = { environment: 'custom', serviceUrl: 'http://localhost:8080/x' };
    assert.equal(label({ ...custom, member: '7' }), 'member 7 at localhost:8080');
    assert.equal(label(custom), 'custom addresses at localhost:8080');
    assert.equal(label({ ...custom, serviceUrl: '${URL}' }), 'custom addresses');
  });
});

const codesOf = (account: Record<string, unknown>): string[] =>
  problemsInForm(accountSchema(account), account).map(({ code }) => code);

describe('the schema that form and runtime share', () => {
  it('list everything that is wrong at once', () => {
    const account: Record<string, string> = { environment: 'production', authMethod: 'jwt', queueMaxMb: 'x' };
    assert.deepEqual(codesOf(account), [
      'member_missing',
      'username_missing',
      'key_name_missing',
      'key_missing',
      'queueMaxMb_range',
    ]);
  });

  it('find nothing in an empty configuration, which is the sandbox', () => {
    assert.deepEqual(codesOf({}), []);
  });

  it('look at the address of the database where the queue is shared, and only there', () => {
    const keys = (databaseUrl: string, queue = 'shared') =>
      codesOf({ queue, databaseBy: 'url', databaseUrl });
    for (const good of [
      'postgres://u:p@host/db',
      'postgresql://host:5433/db?application_name=x',
      'postgres://u:p%40%2F@[::1]:5432/db',
      'postgres:///db?host=/var/run/postgresql',
      'postgres://u:p@one:5432,two:5433/db?sslmode=verify-full',
      ' postgres://host/db ',
      '${AUDIENCE_DATABASE_URL}',
      '__PWRD__',
    ])
      assert.deepEqual(keys(good), [], good);
    for (const [bad, key] of [
      ['', 'missing'],
      ['host/db', 'invalid'],
      ['mysql://host/db', 'invalid'],
      ['https://host/db', 'invalid'],
      ['postgres://u:p#w@host/db', 'invalid'],
      ['postgres://u:p%w@host/db', 'invalid'],
      ['postgres://u:12/w@host/db', 'invalid'],
      ['postgres://u:12?w@host/db', 'invalid'],
      ['postgres://u:p@w@host/db', 'invalid'],
      ['postgres://u:p@host:x/db', 'invalid'],
      ['postgres:///db', 'no_host'],
      ['postgres://host', 'no_database'],
      ['postgres://u:p@host:5432/', 'no_database'],
    ] as const) {
      assert.deepEqual(keys(bad), [`database_url_${key}`], bad);
      assert.deepEqual(keys(bad, 'disk'), []);
    }
  });
});

describe('the sentence below the limits', () => {
  const limits = { posts: 100, users: 1000, concurrent: 15 };

  it('shows the users a day', () => {
    assert.deepEqual(meaningOf(limits, 1000, 'en-US'), {
      users: '1,000',
      day: '86 million',
      slow: '500',
    });
  });

  it("follows the reader's language", () => {
    assert.equal(meaningOf(limits, 1000, 'de').day, '86 Millionen');
    assert.match(meaningOf(limits, 1000, 'ja').day, /万/);
  });

  it('counts at most as many users in a call as one may hold', () => {
    assert.equal(meaningOf({ ...limits, posts: 1, users: 5000 }, 1000, 'en-US').users, '1,000');
    assert.equal(meaningOf({ ...limits, posts: 1, users: 5000 }, 250, 'en-US').users, '250');
  });

  it('warns above the documented limits, and only there', () => {
    assert.equal(exceedsDocumented(limits), false);
    for (const name of ['posts', 'users', 'concurrent'] as const) {
      assert.equal(exceedsDocumented({ ...limits, [name]: limits[name] + 1 }), true, name);
    }
  });
});
