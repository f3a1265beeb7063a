// Orphaned queue file: no engine uses it.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { hashUserKey, userKeyOf, userKeysOf } from '../../src/entry/keys';
import { erase, lookAt, moveAway, purge, storeOf, type TakeMoved } from '../../src/queue/orphaned-queue';
import { memberKeyOf } from '../../src/entry/member-key';
import { QueueError } from '../../src/queue/store';
import { suppressionHashOfMember, suppressionKeyNote } from '../../src/queue/suppression';
import { openLog } from '../../src/queue/sqlite/sqlite-log';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { codeOf, newRow, temporaryFolder } from './rows';

const idOf = (number: number): string => `${String(number).padStart(8, '0')}-0000-4000-8000-000000000001`;

describe('an orphaned queue file', () => {
  const folder = temporaryFolder();
  after(() => folder.remove());
  let files = 0;
  const accounts = [newRow(1).source.account];

  function orphanedQueue(rows: number): string {
    const path = join(folder.path, `left-${files++}.sqlite`);
    const log = openLog(path);
    const append = Array.from({ length: rows }, (_, at) => {
      const id = idOf(at % 1000);
      return newRow(at + 1, {
        lane: at % 3 === 0 ? 'removal' : 'add',
        userHash: hashUserKey(userKeyOf('idfa', id).userKey),
        body: `{"user_id":"${id}","domain":"idfa","seg_block":[{"seg_id":${1 + (at % 5)}}]}`,
        appendedWallMs: 1000 + at,
      });
    });
    log.commit({ append, begin: [{ post: 1, userHashes: [1] }] });
    log.setMeta('authentications', '[1]');
    log.close();
    return path;
  }

  it('is viewed without a change', () => {
    const path = orphanedQueue(5_000);
    for (const _time of [1, 2])
      assert.deepEqual(lookAt(path), { waiting: 5_000, oldestAppendedWallMs: 1000, accounts });
  });

  it('is purged and frees its disk space, but keeps logins and in-flight records', async () => {
    const path = orphanedQueue(80_000);
    const size = statSync(path).size;
    assert.equal(await purge(path), 80_000);
    assert.deepEqual(lookAt(path), { waiting: 0, oldestAppendedWallMs: null, accounts });
    assert.ok(statSync(path).size < size, `${statSync(path).size} of ${size} bytes are left`);
    assert.doesNotMatch(readFileSync(path, 'latin1'), /00000123-0000-4000/);
    const log = openLog(path);
    const { lastSeq, recovered } = log.takeOver();
    assert.deepEqual([lastSeq, recovered.length, log.getMeta('authentications')], [80_000, 1, '[1]']);
    log.close();
  });

  it('is moved away in order over both lanes, and keeps rows that were refused and rows of users in flight', async () => {
    const path = orphanedQueue(9_000);
    const busy = hashUserKey(userKeyOf('idfa', idOf(3)).userKey);
    const log = openLog(path);
    log.takeOver();
    log.commit({ begin: [{ post: 2, userHashes: [busy] }] });
    log.close();
    const seqs: number[] = [];
    const moved = await moveAway(storeOf(path, []), accounts[0]!, (rows) => {
      seqs.push(...rows.map(({ seq }) => seq));
      const taken = rows.filter(({ seq }) => seq % 10 !== 0);
      return Promise.resolve({ moved: taken.map(({ seq }) => seq), refused: null });
    });
    assert.deepEqual(
      seqs,
      seqs.toSorted((a, b) => a - b),
    );
    // Nine rows of the user in flight were not offered.
    assert.deepEqual([seqs.length, moved], [8_991, { moved: 8_091, kept: 909 }]);
    assert.equal(lookAt(path).waiting, 909);
    const others = await moveAway(storeOf(path, []), 'other', (rows) =>
      Promise.resolve({ moved: rows.map(({ seq }) => seq), refused: null }),
    );
    assert.deepEqual(others, { moved: 0, kept: 0 });
  });

  it('keeps an add that is older than a removal to be sent again, which was sent before it', async () => {
    const path = orphanedQueue(0);
    const log = openLog(path);
    log.commit({
      append: [
        newRow(1, { userHash: 5 }),
        newRow(2, { userHash: 5, lane: 'removal' }),
        newRow(3, { userHash: 5 }),
        newRow(4, { userHash: 6 }),
      ],
      repeat: [2],
    });
    log.close();
    const offered: number[] = [];
    const moved = await moveAway(storeOf(path, []), accounts[0]!, (rows) => {
      offered.push(...rows.map(({ seq }) => seq));
      return Promise.resolve({ moved: rows.map(({ seq }) => seq), refused: null });
    });
    assert.deepEqual([offered, moved], [[3, 4], { moved: 2, kept: 1 }]);
  });

  it('loses what was moved when the rest is refused', async () => {
    const path = orphanedQueue(9_000);
    const refused = new QueueError('failed', 'The queue is full.');
    const take: TakeMoved = (rows) => Promise.resolve({ moved: [rows[0]!.seq, rows[1]!.seq], refused });
    await assert.rejects(moveAway(storeOf(path, []), accounts[0]!, take), refused);
    assert.equal(lookAt(path).waiting, 8_998);
  });

  it('loses one user and keeps the others', async () => {
    const path = orphanedQueue(5_000);
    assert.equal(await erase(path, [], userKeysOf(undefined, idOf(7).toUpperCase())), 5);
    assert.equal(lookAt(path).waiting, 4_995);
    assert.equal(await erase(path, [], userKeysOf('aaid', idOf(8))), 0);
    assert.equal(await erase(path, [], userKeysOf('idfa', idOf(8))), 5);
  });

  it('forgets an erased user as a member, and suppresses the user; a purge forgets no member', async () => {
    const path = orphanedQueue(10);
    const store = new SqliteStore(path);
    await store.open();
    await store.sync!.keep('i1');
    await store.sync!.beginStaging('i1');
    const terms = { value: null, expiration: 0 };
    const [gone, stays] = [memberKeyOf(null, idOf(7).toUpperCase()), memberKeyOf('idfa', idOf(8))];
    await store.sync!.stage('i1', [{ memberKey: gone, ...terms }]);
    const members = [gone, stays].map((memberKey) => ({
      segment: 'i1',
      memberKey,
      ...terms,
      state: 'member' as const,
      sinceMinutes: 1,
    }));
    await store.commit({ members });
    await store.close();
    await purge(path);
    await erase(path, [], userKeysOf(null, idOf(7)));
    await store.open();
    assert.deepEqual(await store.sync!.segmentsOf([gone, stays]), [{ segment: 'i1', memberKey: stays }]);
    assert.equal(await store.sync!.staged('i1'), 'none');
    const key = await store.getMeta(suppressionKeyNote);
    assert.deepEqual(
      (await store.sync!.suppressions()).map(({ hash }) => hash),
      [suppressionHashOfMember(key!, gone)],
    );
    await store.close();
  });

  it('is not touched while an engine uses it, and is never created', async () => {
    const path = orphanedQueue(10);
    const store = new SqliteStore(path);
    await store.open();
    assert.equal(await codeOf(() => lookAt(path)), 'locked');
    assert.equal(await codeOf(() => purge(path)), 'locked');
    await store.close();
    assert.equal(await codeOf(() => lookAt(join(folder.path, 'none.sqlite'))), 'failed');
  });
});
