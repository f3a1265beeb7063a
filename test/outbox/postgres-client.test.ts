// What is known of a database without asking it: its errors in words, its address, and when the client is loaded.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { OutboxError } from '../../src/outbox/outbox';
import { addressOf } from '../../src/outbox/postgres-address';
import { CallError, toPostgresError } from '../../src/outbox/postgres-errors';

describe('an error of PostgreSQL', () => {
  const address = addressOf('postgres://me:secret@db.test:5433/queue', null);
  const said = (code: string, message: string, severity = 'ERROR') =>
    toPostgresError(
      new CallError(Object.assign(new Error(message), { code, severity }), 'no'),
      address,
      'instant_audience_1',
    );

  it('says what, where and what to do', () => {
    const cases: [state: string, code: OutboxError['code'], says: RegExp][] = [
      ['53100', 'full', /disk .* is full .*free some space/],
      ['25006', 'readonly', /Name the primary/],
      ['28P01', 'unavailable', /refuses the login/],
      ['57P01', 'unavailable', /cannot be reached/],
      ['53300', 'unavailable', /cannot be reached/],
      ['XX001', 'damaged', /"instant_audience_1" .* is damaged/],
      ['42P01', 'failed', /did not do what was asked/],
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

describe('the address of a shared log', () => {
  it('is read as psql reads it', () => {
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

  it('takes the TLS settings of the account before sslmode, and sslmode as psql does', () => {
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
});

describe('the client for PostgreSQL', () => {
  it('is not loaded before a shared log is opened', async () => {
    const script = `
      require('./src/delivery/index.ts');
      const { PostgresLog } = require('./src/outbox/postgres-log.ts');
      const log = new PostgresLog({ url: 'postgres://127.0.0.1:9/none', origin: 'https://x', member: '1' });
      const loaded = () => Object.keys(require.cache).some((file) => /node_modules.pg./.test(file));
      const before = loaded();
      log.open().catch(() => console.log(JSON.stringify([before, loaded()])));`;
    const args = ['--disable-warning=ExperimentalWarning', '--require', 'tsx/cjs', '-e', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: join(__dirname, '../..') });
    assert.equal(stdout.trim(), '[false,true]');
  });
});
