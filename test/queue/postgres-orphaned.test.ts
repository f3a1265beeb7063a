// Orphaned shared queues: listing, moving, purging and erasing.
import assert from 'node:assert/strict';

import { hashUserKey, userKeyOf } from '../../src/entry/keys';
import type { Row } from '../../src/queue/store';
import { moveAwayShared } from '../../src/delivery/left-shared-queue';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { eraseFrom, listQueues, purgeQueue } from '../../src/queue-postgres/postgres-orphaned';
import { suppressionHashOf, suppressionKeyNote } from '../../src/queue/suppression';
import { cleanUps } from '../support/clean-up';
import { batchOf, codeOf, seqs, sharedRow } from './rows';
import { hold, leaseMs, one, TestDatabase, two, type PostgresQueue } from './shared-stores';

describe('orphaned shared queues', function () {
  this.timeout(60_000);
  const cleanUp = cleanUps();
  let database: TestDatabase;
  let queue: PostgresQueue;
  before(async function () {
    database = await TestDatabase.find(this, cleanUp);
  });
  beforeEach(() => void (queue = database.queue()));
  afterEach(() => queue.end());

  const idOf = (number: number): string => `${String(number).padStart(8, '0')}-0000-4000-8000-000000000001`;
  const keyOf = (number: number): string => userKeyOf('idfa', idOf(number)).userKey;

  async function leave(rows: number) {
    const log = await queue.log();
    const given = seqs(1, rows).map((at) =>
      sharedRow(at, {
        lane: at % 3 === 0 ? 'removal' : 'add',
        userHash: hashUserKey(keyOf(at % 100)),
        appendedWallMs: 1_000 + at,
        body: `{"user_id":"${idOf(at % 100)}","domain":"idfa","seg_block":[{"seg_id":${1 + (at % 5)}}]}`,
      }),
    );
    await log.append(batchOf('one', 1, given));
    const { store } = await hold(log);
    await store.commit({ repeat: [1], remove: [2], begin: [{ post: 1, userHashes: [1] }] });
    await store.close();
    return log;
  }

  const options = () => ({ url: database.url });
  const found = async () => (await listQueues(options())).find(({ schema }) => schema === queue.schema);

  it('move an account’s entries in order over both lanes, once no instance uses the queue', async () => {
    const log = await leave(9_000);
    const move = (account: string, take: (rows: readonly Row[]) => readonly number[]): Promise<object> =>
      moveAwayShared(
        new PostgresLog({ url: database.url, origin: queue.origin, member: queue.member }),
        null,
        'mover',
        account,
        (rows) => Promise.resolve({ moved: take(rows), refused: null }),
      );
    assert.equal(await codeOf(() => move('account', () => [])), 'locked');
    await log.close(one);
    await queue.pass(leaseMs + 1);
    const given: number[] = [];
    const moved = await move('account', (rows) => {
      given.push(...rows.map(({ seq }) => seq));
      return rows.filter(({ seq }) => seq % 10 !== 0).map(({ seq }) => seq);
    });
    assert.deepEqual(given, seqs(3, 9_000));
    assert.deepEqual(moved, { moved: 8_098, kept: 900 });
    assert.equal((await found())!.waiting, 900);
    assert.deepEqual((await found())!.usedBy, []);
    assert.deepEqual(await move('other', (rows) => rows.map(({ seq }) => seq)), { moved: 0, kept: 0 });
  });

  it('are listed, and purged once no instance uses them', async () => {
    const log = await leave(6_000);
    const { origin, member, schema } = queue;
    const accounts = ['account'];
    const common = { schema, origin, member, waiting: 5_998, oldestAppendedWallMs: 1_003, accounts };
    assert.deepEqual(await found(), { ...common, usedBy: [one.name] });
    assert.equal(await codeOf(() => purgeQueue(options(), schema)), 'locked');
    await log.close(one);
    await database.query(`CREATE SCHEMA "instant_audience_Not Ours"`);
    await database.query(`CREATE TABLE "instant_audience_Not Ours".format (version integer)`);
    assert.deepEqual(await found(), { ...common, usedBy: [] });
    assert.equal(await purgeQueue(options(), schema), 5_998);
    assert.deepEqual(await found(), { ...common, waiting: 0, oldestAppendedWallMs: null, usedBy: [] });
    const next = await queue.log();
    await queue.pass(leaseMs + 1);
    const { fencingToken: token } = await next.claim(two, true, null, leaseMs);
    const { lastSeq, waiting, bodyChars, recovered } = await next.store(two, token).open();
    assert.deepEqual([lastSeq, waiting, bodyChars, recovered.length], [6_000, 0, 0, 1]);
  });

  it('erase one user and keep the others', async () => {
    const log = await leave(50_100);
    await log.close(one);
    const kept = (text: string): string => text;
    assert.equal(await eraseFrom(options(), queue.schema, [keyOf(7)], kept), 501);
    // One row of this user is to be sent again only.
    assert.equal(await eraseFrom(options(), queue.schema, [keyOf(1)], kept), 500);
    assert.equal((await found())?.waiting, 50_098 - 1_001);
  });

  it('forget an erased user as a member, and suppress the user', async () => {
    const log = await leave(10);
    const { store } = await hold(log);
    const sync = store.sync!;
    await sync.keep('i1');
    await sync.beginStaging('i1');
    const rows = [7, 8].map((user) => ({ memberKey: keyOf(user), value: null, expiration: 0 }));
    await sync.stage('i1', rows);
    await sync.endStaging('i1');
    const member = { segment: 'i1', state: 'member' as const, sinceMinutes: 1 };
    await store.commit({ members: rows.map((row) => ({ ...row, ...member })) });
    await store.close();
    await log.close(one);
    await eraseFrom(options(), queue.schema, [keyOf(7)], (text) => text);
    const again = await queue.log();
    const { store: left } = await hold(again);
    const stays = { segment: 'i1', memberKey: keyOf(8) };
    assert.deepEqual(await left.sync!.segmentsOf([keyOf(7), keyOf(8)]), [stays]);
    assert.deepEqual(await left.sync!.segments(), [{ segment: 'i1', state: null, members: 1, rejected: 0 }]);
    const rules = { nowMinutes: 2, refreshPercent: 0, removes: true, resends: false };
    const { counts } = await left.sync!.compare('i1', rules, null, 9, true);
    assert.deepEqual([counts.add, counts.remove, counts.unchanged], [0, 0, 1]);
    const key = await left.getMeta(suppressionKeyNote);
    const hashes = (await left.sync!.suppressions()).map(({ hash }) => hash);
    assert.deepEqual(hashes, [suppressionHashOf(key!, keyOf(7))]);
    await left.close();
  });

  it('erase one user from outcomes that were not read, and delete erasures of that user', async () => {
    const log = await leave(10);
    const texts = Array.from({ length: 120 }, (_, at) => `${at} ${at % 3 === 0 ? 'her' : 'him'}`);
    const { token: before, store } = await hold(log);
    for (const text of texts)
      await store.commit({
        outcomes: [{ seq: 1, source: { node: 'n', account: 'a' }, instance: 'gone', report: text }],
      });
    await store.close();
    const asked = { throughSeq: 9, askedMs: 1 };
    for (const user of [1, 2])
      await log.requestDeletion({ ...asked, user: { keys: [keyOf(user), 'x'], id: idOf(user) } });
    await log.requestDeletion({ ...asked, user: null });
    const without = (text: string, [key]: readonly string[]): string => {
      assert.equal(key, keyOf(1));
      return text.replace('her', '-');
    };
    const erase = () => eraseFrom(options(), queue.schema, [keyOf(1)], without);
    assert.equal(await codeOf(erase), 'locked');
    await log.close(one);
    await erase();
    const next = await queue.log();
    await queue.pass(leaseMs + 10_000);
    assert.equal((await next.claim(two, true, null, leaseMs)).fencingToken, before + 1);
    const outcomes = await next.outcomes(two, [], 999);
    assert.deepEqual(
      outcomes.map(({ text }) => (JSON.parse(text) as { report: string }[])[0]!.report),
      texts.map((text) => text.replace('her', '-')),
    );
    assert.deepEqual(
      (await next.deletions()).map(({ user }) => user?.id ?? null),
      [idOf(2), null],
    );
  });
});
