// PostgreSQL client without a server: error texts, the address, and when the client is loaded.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';

import type { QueueError } from '../../src/queue/store';
import { addressOf } from '../../src/queue-postgres/postgres-address';
import { CallError, toPostgresError } from '../../src/queue-postgres/postgres-errors';
import { systemClock } from '../../src/clock';
import { HostChoice, Line } from '../../src/queue-postgres/postgres-line';
import type { MakeClient } from '../../src/queue-postgres/postgres-module';
import { databaseUrlOf, travelsInClear } from '../../src/queue-postgres/postgres-url';

describe('an error of PostgreSQL', () => {
  const address = addressOf('postgres://me:secret@db.test:5433/queue', null);
  const said = (code: string, message: string, severity = 'ERROR') =>
    toPostgresError(
      new CallError(Object.assign(new Error(message), { code, severity }), 'no'),
      address,
      'instant_audience_1',
    );

  it('says what, where and what to do', () => {
    const cases: [state: string, code: QueueError['code'], says: RegExp][] = [
      ['53100', 'full', /disk .* is full .*Free some space/],
      ['25006', 'readonly', /Enter the address of the primary/],
      ['28P01', 'unavailable', /refuses the login/],
      ['57P01', 'unavailable', /cannot be reached/],
      ['53300', 'unavailable', /cannot be reached/],
      ['XX001', 'damaged', /"instant_audience_1" .* is damaged/],
      ['42P01', 'failed', /could not carry out a request/],
    ];
    for (const [state, code, says] of cases) {
      const error = said(state, 'what it said about secret things');
      assert.equal(error.code, code);
      assert.match(error.message, says);
      assert.match(
        error.message,
        new RegExp(
          `db.test:5433, database queue.*\\(what it said about \\*\\*\\* things, SQLSTATE ${state}\\)`,
        ),
      );
    }
    assert.match(
      said('28000', 'no pg_hba.conf entry for host, no encryption').message,
      /do not agree on TLS/,
    );
    const untrusted = Object.assign(new Error('self-signed certificate'), {
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
    assert.match(toPostgresError(untrusted, address, '').message, /do not agree on TLS/);
  });
});

describe('a connection to the database', () => {
  /**
   * A line whose call gets this answer: whether the call was carried out, and how many connections two calls
   * needed.
   */
  async function ofAnswer(
    severity: string,
    code: string,
  ): Promise<[carriedOut: string, connections: number]> {
    let made = 0;
    const makeClient = () => {
      made += 1;
      return Object.assign(new EventEmitter(), {
        processID: made,
        connect: () => Promise.resolve(),
        end: () => Promise.resolve(),
        query: (sql: string) =>
          sql === 'the call'
            ? Promise.reject(Object.assign(new Error('no'), { severity, code }))
            : Promise.resolve({ rows: [] }),
      });
    };
    const address = addressOf('postgres://db.test/queue', null);
    const options = { address, hosts: new HostChoice(address.hosts), clock: systemClock };
    const line = new Line({ ...options, makeClient: makeClient as unknown as MakeClient });
    const error = await line.run('the call').catch((thrown: unknown) => thrown);
    await line.run('another one');
    await line.close();
    return [(error as CallError).carriedOut, made];
  }

  it('continues after a refusal, in whatever language, and is replaced after its end', async () => {
    assert.deepEqual(await ofAnswer('ERROR', '23505'), ['no', 1]);
    assert.deepEqual(await ofAnswer('FEHLER', '53100'), ['no', 1]);
    assert.deepEqual(await ofAnswer('ERROR', '25006'), ['no', 2], 'perhaps another server takes changes');
    assert.deepEqual(await ofAnswer('FATAL', '57P01'), ['unknown', 2]);
    assert.deepEqual(await ofAnswer('ВАЖНО', '57P01'), ['unknown', 2]);
  });
});

describe('the address of a shared log', () => {
  it('is parsed as psql parses it', () => {
    const { ssl, ...rest } = addressOf(
      'postgresql://u%40x:p%3A%2F@[::1]:1,b:2,c/my%20db?sslmode=require',
      null,
    );
    assert.deepEqual(rest, {
      hosts: [
        { host: '::1', port: 1 },
        { host: 'b', port: 2 },
        { host: 'c', port: 5432 },
      ],
      database: 'my db',
      user: 'u@x',
      password: 'p:/',
      plainIfRefused: false,
      where: '[::1]:1, b:2, c:5432, database my db',
    });
    assert.deepEqual(ssl, { rejectUnauthorized: false });
  });

  it('prefers the TLS settings of the account to sslmode, and treats sslmode as psql does', () => {
    const sslOf = (query: string, tls = {}) =>
      addressOf(`postgres://h/d${query}`, Object.keys(tls).length > 0 ? tls : null).ssl;
    assert.equal(sslOf(''), false);
    assert.equal(sslOf('?sslmode=disable'), false);
    assert.deepEqual(sslOf('?sslmode=verify-full'), {});
    assert.deepEqual(sslOf('?sslmode=disable', { ca: 'x', rejectUnauthorized: true }), {
      ca: 'x',
      rejectUnauthorized: true,
    });
    assert.equal(addressOf('postgres://h/d?sslmode=prefer', null).plainIfRefused, true);
    const verifyCa = sslOf('?sslmode=verify-ca');
    assert.equal(verifyCa !== false && typeof verifyCa.checkServerIdentity, 'function');
  });

  it('shows no part of a password, however it is written', () => {
    // A number may also be a port.
    const piece = fc.oneof(fc.integer({ min: 10_000, max: 65_535 }).map(String), fc.constant('geheim'));
    const special = fc.oneof(
      fc.string({
        unit: fc.constantFrom('/', '?', '#', '@', ':', '%', '&', '=', '+', ',', ';', '[', ']', ' ', '\\'),
        minLength: 1,
        maxLength: 2,
      }),
      fc.constantFrom('%2', '%41'),
    );
    const password = fc.tuple(piece, fc.array(fc.tuple(special, piece), { maxLength: 4 }));
    const end = fc.constantFrom('', '/queue', '/queue?sslmode=require', '?host=db.test');
    fc.assert(
      fc.property(password, fc.constantFrom('db.test:5433', '[::1]', ''), end, ([first, more], host, end) => {
        const url = `postgres://me:${first}${more.map((pair) => pair.join('')).join('')}@${host}${end}`;
        const shown = shownOf(url);
        for (const secret of [first, ...more.map(([, text]) => text)])
          assert.ok(!shown.includes(secret), `${url} gives ${shown}`);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is the same from fields, whatever characters name, user and password have', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(text, text, text, fc.nat({ max: 65_534 }), (database, user, password, below) => {
        const port = below + 1;
        const url = databaseUrlOf({ hosts: 'one, /run/pg,::1,[::2]:7', port, database, user, password });
        const read = addressOf(url, null);
        assert.deepEqual([read.database, read.user, read.password], [database, user, password]);
        assert.deepEqual(read.hosts, [
          { host: 'one', port },
          { host: '/run/pg', port },
          { host: '::1', port },
          { host: '::2', port: 7 },
        ]);
      }),
    );
    const without = databaseUrlOf({ hosts: 'h', port: 1, database: 'd', user: '', password: '' });
    const { user, password } = addressOf(without, null);
    assert.deepEqual([user, password], [undefined, undefined]);
  });

  it('travels in clear to another machine without TLS', () => {
    const cases: [url: string, isClear: boolean][] = [
      ['postgres://db.test/d', true],
      ['postgres://me:secret@10.0.0.7/d?sslmode=disable', true],
      ['postgres://db.test/d?sslmode=allow', true],
      ['postgres://db.test/d?sslmode=prefer', true],
      ['postgres://localhost,db.test/d', true],
      ['postgres://127.0.0.1.test/d', true],
      ['postgres://db.test/d?sslmode=require', false],
      ['postgres://db.test/d?ssl=true', false],
      ['postgres://db.test/d?sslmode=verify-full', false],
      ['postgres://localhost/d', false],
      ['postgres://127.0.0.1:5433,[::1]/d', false],
      ['postgres:///d?host=/var/run/postgresql', false],
      ['postgres://%2Fvar%2Frun%2Fpostgresql/d', false],
      ['nothing of the kind', false],
    ];
    for (const [url, isClear] of cases) assert.equal(travelsInClear(url, false), isClear, url);
    assert.equal(travelsInClear('postgres://db.test/d', true), false);
  });

  it('names the wrong part when it cannot be parsed', () => {
    for (const url of [
      'postgres://me:12/34@db.test/queue',
      'postgres://me:12?4@db.test',
      'postgres://a@b@c/d',
    ])
      assert.throws(
        () => addressOf(url, null),
        /In a username or password each of \/\?#@% is percent-encoded/,
        url,
      );
  });
});

/** Texts of messages and forms, or the message that refuses the URL. */
function shownOf(url: string): string {
  try {
    const { hosts, database, user, where } = addressOf(url, null);
    return JSON.stringify({ hosts, database, user, where });
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the client for PostgreSQL', () => {
  it('is not loaded before a shared log is opened', async () => {
    const script = `
      require('./src/delivery/index.ts');
      const { PostgresLog } = require('./src/queue-postgres/postgres-log.ts');
      const log = new PostgresLog({ url: 'postgres://127.0.0.1:9/none', origin: 'https://x', member: '1' });
      const loaded = () => Object.keys(require.cache).some((file) => /node_modules.pg./.test(file));
      const before = loaded();
      log.open().catch(() => console.log(JSON.stringify([before, loaded()])));`;
    const args = ['--disable-warning=ExperimentalWarning', '--require', 'tsx/cjs', '-e', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: join(__dirname, '../..') });
    assert.equal(stdout.trim(), '[false,true]');
  });
});
