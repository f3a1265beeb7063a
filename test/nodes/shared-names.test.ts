// Names of shared queues, and accounts that mean the same one.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { EngineInfo, QueueKind } from '../../src/delivery/registry';
import { databaseUrlOf } from '../../src/queue-postgres/postgres-url';
import { identityOf } from '../../nodes/account/connection/database';
import { instanceName } from '../../nodes/account/queue/instance-name';
import { queueFile, queueFolder, bufferFile } from '../../nodes/account/queue/queue-file';
import { OrphanedQueues } from '../../nodes/account/queue/orphaned-queues';

describe('the name of an instance', () => {
  const host = (): string => 'node-2';

  it('is the machine and the port of Node-RED', () => {
    assert.equal(instanceName(1880, {}, host), 'node-2:1880');
    assert.equal(instanceName('1881', {}, host), 'node-2:1881');
    for (const unknown of [undefined, 0, '', 'pipe', null, NaN])
      assert.equal(instanceName(unknown, {}, host), 'node-2');
  });

  it('is that of the environment where it gives one, in one line of no great length', () => {
    assert.equal(instanceName(1880, { INSTANCE_AUDIENCE_NAME: ' audience-0 ' }, host), 'audience-0');
    assert.equal(instanceName(1880, { INSTANCE_AUDIENCE_NAME: '  ' }, host), 'node-2:1880');
    const long = instanceName(1880, { INSTANCE_AUDIENCE_NAME: `a\n\u0007b${'c'.repeat(500)}` }, host);
    assert.match(long, /^a bc+$/);
    assert.equal(long.length, 80);
  });
});

describe('the identity of a database', () => {
  const url = 'postgres://me:s3cr3t@host/db';

  it('is the same only for the same address and TLS, and reveals neither', () => {
    const plain = identityOf({ url, tls: null });
    assert.equal(identityOf({ url, tls: null }), plain);
    assert.notEqual(identityOf({ url: `${url}2`, tls: null }), plain);
    assert.notEqual(identityOf({ url, tls: { ca: 'x' } }), plain);
    assert.match(identityOf({ url, tls: { ca: 'x' } }), /^[0-9a-f]{64}$/);
  });

  it('is the same for fields and a URL with the same meaning', () => {
    const password = 's3cr3t@:%é';
    const ofFields = databaseUrlOf({ hosts: 'host, ::1', port: 5432, database: 'db', user: 'me', password });
    const same = [
      'postgresql://me:s3cr3t%40%3A%25%C3%A9@host,[::1]/db',
      'postgres://me:s3cr3t%40:%25é@host:5432,[::1]:5432/d%62',
      'postgres://me:s3cr3t%40:%25é@/db?host=host,[::1]',
    ];
    for (const each of same)
      assert.equal(identityOf({ url: each, tls: null }), identityOf({ url: ofFields, tls: null }), each);
    for (const other of [
      `${same[0]}?sslmode=require`,
      same[0]!.replace('host', 'host:5433'),
      same[0]!.replace('me', 'you'),
      same[0]!.replace('s3cr3t', 'S3cr3t'),
    ])
      assert.notEqual(identityOf({ url: other, tls: null }), identityOf({ url: ofFields, tls: null }), other);
  });
});

describe('what is kept while the database of a shared queue is away', () => {
  const origin = 'https://streaming-data.appnexus.com';
  let userDir = '';
  before(() => {
    userDir = mkdtempSync(path.join(tmpdir(), 'kept-'));
    mkdirSync(queueFolder(userDir));
  });
  after(() => rmSync(userDir, { recursive: true }));

  it('has a file of its own, which counts as left when no account shares the queue any more', () => {
    const [disk, kept] = [queueFile(userDir, origin, '7'), bufferFile(userDir, origin, '7')];
    assert.notEqual(disk, kept);
    for (const file of [disk, kept]) writeFileSync(file, 'no queue, so that it is listed with its problem');
    const left = (...kinds: QueueKind[]): string[] => {
      const engines = kinds.map((queue) => ({ queue, origin, member: '7' }) as EngineInfo);
      return new OrphanedQueues(userDir, () => engines).list().map(({ key }) => key);
    };
    assert.deepEqual(left('shared'), [path.basename(disk)]);
    assert.deepEqual(left('disk'), [path.basename(kept)]);
    assert.deepEqual(left('memory').sort(), [path.basename(disk), path.basename(kept)].sort());
    const { member, origin: shown } = new OrphanedQueues(userDir, () => []).list()[0]!;
    assert.deepEqual([shown, member], ['https://streaming-data.appnexus.com', '7']);
  });

  it('is looked at again when its file was locked, since it may only be closing', () => {
    const file = queueFile(userDir, origin, '8');
    const writer = new DatabaseSync(file);
    writer.exec('CREATE TABLE other (id)');
    writer.exec('BEGIN EXCLUSIVE');
    const orphaned = new OrphanedQueues(userDir, () => []);
    const found = (): string | undefined =>
      orphaned.list().find(({ key }) => key === path.basename(file))?.problem?.trouble;
    assert.equal(found(), 'locked');
    writer.exec('COMMIT');
    writer.close();
    assert.notEqual(found(), 'locked');
  });
});
