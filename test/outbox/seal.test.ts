// User ids at rest: what lies in the files, what can be read back, and what a changed secret does.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { hashUserKey, userKeyOf, userKeysOf } from '../../src/audience/keys';
import { erase, lookAt, purge, readAll as readLeft } from '../../src/outbox/left-queue';
import type { Row } from '../../src/outbox/outbox';
import { Seal, newDataKey, unwrapDataKey, wrapDataKey, type SealOptions } from '../../src/outbox/seal';
import { compileOutbox, type Compiled } from './compiled';
import { codeOf, errorOf, newRow, readAll, temporaryFolder } from './rows';

const secret = 'a credential secret';
const on: SealOptions = { isOn: true, secrets: [secret] };
const off: SealOptions = { isOn: false, secrets: [secret] };
const device = (number: number): string => `1ba98a6c-d1a5-49ef-ad1c-${String(number).padStart(12, '0')}`;
const keyOf = (number: number): string => userKeyOf('idfa', device(number)).userKey;
const hashOf = (number: number): number => hashUserKey(keyOf(number));
const bodyOf = (number: number): string =>
  `{"user_id":"${device(number)}","domain":"idfa","seg_block":[{"seg_id":${1 + (number % 5)}}]}`;

/** An entry of user `number`, with the same number in the log. */
const entryOf = (number: number, user = number) =>
  newRow(number, { userHash: hashOf(user), body: bodyOf(user), lane: number % 3 === 0 ? 'removal' : 'add' });
const entries = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => entryOf(first + at));

describe('a sealed queue file', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  let compiled: Compiled;
  before(() => (compiled = compileOutbox()));
  after(() => compiled.remove());
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, 'queue.sqlite');
  });
  afterEach(() => folder.remove());

  async function opened(seal: SealOptions | undefined) {
    const outbox = new compiled.SqliteOutbox(path, seal === undefined ? {} : { seal });
    return { outbox, found: await outbox.open() };
  }

  /** Every byte of the folder: database, -wal, -shm, and whatever else there may be. */
  const bytes = (): Buffer =>
    Buffer.concat(readdirSync(folder.path).map((file) => readFileSync(join(folder.path, file))));

  /** A user's id, its parts, and its hash in any form that the store or a note may have it in. */
  function tracesOf(user: number): Buffer[] {
    const hash = hashOf(user);
    const float = Buffer.alloc(8);
    float.writeDoubleLE(hash);
    const integer = Buffer.alloc(8);
    integer.writeBigInt64BE(BigInt(hash));
    // SQLite keeps a whole number of this size in seven or eight bytes, the highest first.
    return [
      Buffer.from(device(user)),
      Buffer.from(String(hash)),
      float,
      integer.subarray(1),
      Buffer.from('seg_id'),
    ];
  }

  function assertNoTrace(users: readonly number[]): void {
    const all = bytes();
    for (const user of users)
      for (const trace of tracesOf(user)) assert.equal(all.includes(trace), false, `a trace of user ${user}`);
  }

  it('holds nothing of an id', async () => {
    const { outbox } = await opened(on);
    await outbox.commit({
      append: entries(1, 300),
      depart: [{ post: 1, userHashes: [hashOf(1), hashOf(2)] }],
    });
    await outbox.commit({ shield: [5, 6], repeat: [7] });
    await outbox.setMeta('erasures', JSON.stringify([{ hash: hashOf(9), key: keyOf(9) }]));
    // Open, with everything in the -wal; and closed, with everything in the file itself.
    assert.ok(readdirSync(folder.path).includes('queue.sqlite-wal'));
    assertNoTrace([1, 2, 5, 7, 9, 300]);
    await outbox.close();
    assertNoTrace([1, 2, 5, 7, 9, 300]);
  });

  it('would be caught if it did', async () => {
    const { outbox } = await opened(undefined);
    await outbox.commit({ append: entries(1, 3), depart: [{ post: 1, userHashes: [hashOf(2)] }] });
    await outbox.setMeta('note', String(hashOf(2)));
    const all = bytes();
    assert.deepEqual(
      tracesOf(2).map((trace) => all.includes(trace)),
      [true, true, true, true, true],
    );
    await outbox.close();
  });

  it('gives everything back after a restart: rows, users, marks of posts and notes', async () => {
    const written = entries(1, 50);
    const first = await opened(on);
    await first.outbox.commit({ append: written, depart: [{ post: 1, userHashes: [hashOf(1), 0] }] });
    await first.outbox.setMeta('authentications', '[1,2]');
    await first.outbox.close();
    const { outbox, found } = await opened(on);
    assert.equal(found.waiting, 50);
    assert.equal(
      found.bodyChars,
      written.reduce((sum, { body }) => sum + body.length, 0),
    );
    assert.deepEqual(found.flights, [{ post: -1, userHashes: [hashOf(1), 0], untilWallMs: null }]);
    assert.deepEqual(
      await readAll(outbox),
      written.map((row) => ({ ...row, state: 'waiting' })),
    );
    const { rows } = await outbox.rowsOfUsers([hashOf(17)], 0, 1_000);
    assert.deepEqual(
      rows.map(({ seq, userHash }) => [seq, userHash]),
      [[17, hashOf(17)]],
    );
    assert.equal(await outbox.getMeta('authentications'), '[1,2]');
    await outbox.close();
  });

  it('is not touched under another secret, nor without one, and says so', async () => {
    const { outbox } = await opened(on);
    await outbox.commit({ append: entries(1, 20) });
    await outbox.close();
    const before = bytes();
    for (const secrets of [['another secret'], []]) {
      for (const isOn of [true, false]) {
        const error = await errorOf(() => opened({ isOn, secrets }));
        assert.equal(error?.code, 'sealed');
        assert.match(error.message, /is encrypted and cannot be opened .* left as it is.* credentialSecret/);
      }
    }
    assert.deepEqual(bytes(), before);
    const again = await opened(on);
    assert.equal((await readAll(again.outbox)).length, 20);
    await again.outbox.close();
  });

  it('follows a secret that took the place of another, and then needs the old one no more', async () => {
    const first = await opened(on);
    await first.outbox.commit({ append: entries(1, 20) });
    await first.outbox.close();
    const { outbox } = await opened({ isOn: true, secrets: ['a new secret', secret] });
    assert.equal((await readAll(outbox)).length, 20);
    await outbox.close();
    const { outbox: later } = await opened({ isOn: true, secrets: ['a new secret'] });
    assert.equal((await readAll(later)).length, 20);
    await later.close();
    assert.equal(await codeOf(() => opened(on)), 'sealed');
  });

  it('wants a secret when it is made', async () => {
    assert.equal(await codeOf(() => opened({ isOn: true, secrets: [] })), 'sealed');
  });

  it('takes over plain rows, and reads sealed ones when it is switched off: each with its shields', async () => {
    const plain = await opened(undefined);
    await plain.outbox.commit({ append: [entryOf(1, 7), entryOf(2, 8)] });
    await plain.outbox.setMeta('note', `of ${device(9)}`);
    await plain.outbox.close();
    const sealed = await opened(on);
    await sealed.outbox.commit({ append: [entryOf(4, 7), entryOf(5, 9)], shield: [4] });
    // The shield is sealed, the row that it speaks of is not.
    const page = await sealed.outbox.read('add', 0, Infinity, 10);
    assert.deepEqual(
      [page.rows.map(({ seq }) => seq), page.shields.map(({ seq, userHash }) => [seq, userHash])],
      [[1, 2, 5], [[4, hashOf(7)]]],
    );
    assert.equal(await sealed.outbox.getMeta('note'), `of ${device(9)}`);
    await sealed.outbox.close();
    // Notes are sealed at once; entries stay as they were until they have ended.
    assert.ok(!bytes().includes(device(9)));
    assert.ok(bytes().includes(device(7)));
    const { outbox } = await opened(off);
    await outbox.commit({ append: [entryOf(7, 9)], shield: [7] });
    const later = await outbox.read('add', 0, Infinity, 10);
    assert.deepEqual(
      [later.rows.map(({ seq }) => seq), later.shields.map(({ seq }) => seq)],
      [
        [1, 2, 5],
        [4, 7],
      ],
    );
    const { rows } = await outbox.rowsOfUsers([hashOf(7), hashOf(9)], 0, 100);
    assert.deepEqual(
      rows.map(({ seq, body }) => [seq, body]),
      [
        [1, bodyOf(7)],
        [4, bodyOf(7)],
        [5, bodyOf(9)],
        [7, bodyOf(9)],
      ],
    );
    await outbox.close();
  });

  it('forgets its key once it is switched off and nothing sealed is left', async () => {
    const first = await opened(on);
    await first.outbox.commit({ append: entries(1, 3), depart: [{ post: 1, userHashes: [hashOf(1)] }] });
    await first.outbox.setMeta('note', 'kept');
    await first.outbox.close();
    const { outbox } = await opened(off);
    await outbox.commit({ append: [entryOf(4)], remove: [1, 2, 3], arrive: [-1] });
    await outbox.close();
    await (await opened(off)).outbox.close();
    const { outbox: later } = await opened({ isOn: false, secrets: ['another secret'] });
    assert.deepEqual(
      (await readAll(later)).map(({ seq }) => seq),
      [4],
    );
    assert.equal(await later.getMeta('note'), 'kept');
    await later.close();
  });

  it('is refused as damaged when its key is gone, and gets no new one', async () => {
    const { outbox } = await opened(on);
    await outbox.commit({ append: entries(1, 3) });
    await outbox.close();
    const db = new DatabaseSync(path);
    db.exec("DELETE FROM meta WHERE key = 'seal'");
    db.close();
    const before = bytes();
    const error = await errorOf(() => opened(on));
    assert.equal(error?.code, 'damaged');
    assert.match(error.message, /its key is missing/);
    assert.deepEqual(bytes(), before);
    const plain = await opened(undefined);
    assert.equal(await codeOf(() => readAll(plain.outbox)), 'damaged');
    await plain.outbox.close();
  });

  it('gives a row that was changed in the file as it is, and the others whole', async () => {
    const { outbox } = await opened(on);
    await outbox.commit({ append: entries(1, 3) });
    await outbox.close();
    const db = new DatabaseSync(path);
    const { body } = db.prepare('SELECT body FROM entry WHERE seq = 2').get() as { body: string };
    const changed = body.slice(0, 60) + (body[60] === 'A' ? 'B' : 'A') + body.slice(61);
    db.prepare('UPDATE entry SET body = ? WHERE seq = 2').run(changed);
    db.close();
    const again = await opened(on);
    const rows = await readAll(again.outbox);
    assert.deepEqual(
      rows.map((row) => row.body),
      [bodyOf(1), changed, bodyOf(3)],
    );
    await again.outbox.close();
  });

  it('that is left can be looked at and emptied by anybody, saved and searched with the secret', async () => {
    const { outbox } = await opened(on);
    await outbox.commit({ append: entries(1, 30) });
    await outbox.close();
    assert.equal(lookAt(path).waiting, 30);
    const bodies: string[] = [];
    const take = (rows: readonly Row[]): Promise<void> => {
      bodies.push(...rows.map((row) => row.body));
      return Promise.resolve();
    };
    assert.equal(await codeOf(() => readLeft(path, [], take)), 'sealed');
    assert.equal(await codeOf(() => erase(path, ['wrong'], userKeysOf('idfa', device(4)))), 'sealed');
    assert.equal(bodies.length, 0);
    assert.equal(await erase(path, [secret], userKeysOf(undefined, device(4).toUpperCase())), 1);
    await readLeft(path, [secret], take);
    assert.equal(bodies.length, 29);
    assert.ok(!bodies.includes(bodyOf(4)) && bodies.includes(bodyOf(5)));
    assert.equal(await purge(path), 29);
  });
});

describe('the seal', () => {
  it('gives a user the same tag in one file, and another one in the next', () => {
    const [one, other] = [new Seal(newDataKey()), new Seal(newDataKey())];
    const hashes = [0, 1, 2 ** 53 - 1, hashOf(1)];
    const tags = hashes.map((hash) => one.tagOf(hash));
    assert.deepEqual(
      hashes.map((hash) => one.tagOf(hash)),
      tags,
    );
    assert.equal(new Set([...tags, ...hashes, ...hashes.map((hash) => other.tagOf(hash))]).size, 12);
    for (const tag of tags) assert.ok(Number.isSafeInteger(tag) && tag >= 0);
  });

  it('never seals the same text in the same way, and opens only its own', () => {
    const dataKey = newDataKey();
    const [seal, restarted] = [new Seal(dataKey), new Seal(dataKey)];
    const texts = [seal.seal('text'), seal.seal('text'), restarted.seal('text')];
    assert.equal(new Set(texts).size, 3);
    for (const text of texts) assert.equal(new Seal(dataKey).open(text), 'text');
    assert.equal(new Seal(newDataKey()).open(texts[0]!), null);
    for (const broken of ['~', '~AAAA', texts[0]!.slice(0, -8), `${texts[0]!.slice(0, -2)}AA`])
      assert.equal(seal.open(broken), null, broken);
  });

  it('hands its data key only to the secret that it lies under', () => {
    const dataKey = newDataKey();
    const wrapped = wrapDataKey(dataKey, secret);
    assert.deepEqual(unwrapDataKey(wrapped, secret), dataKey);
    assert.equal(unwrapDataKey(wrapped, `${secret} `), null);
    assert.equal(unwrapDataKey(wrapped.slice(0, -4), secret), null);
    assert.ok(!wrapped.includes(dataKey.toString('base64').slice(0, 20)));
  });
});
