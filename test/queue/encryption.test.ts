// Encryption at rest: the content of the files, what can be decrypted, and the effect of a changed secret.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { hashUserKey, userKeyOf, userKeysOf } from '../../src/entry/keys';
import { erase, lookAt, purge, storeOf } from '../../src/queue/orphaned-queue';
import {
  Cipher,
  newDataKey,
  unwrapDataKey,
  wrapDataKey,
  type EncryptionOptions,
} from '../../src/queue/sqlite/encryption';
import { compileStore, type Compiled } from './compiled';
import { codeOf, errorOf, newRow, readAll, temporaryFolder } from './rows';

const secret = 'a credential secret';
const on: EncryptionOptions = { isOn: true, secrets: [secret] };
const off: EncryptionOptions = { isOn: false, secrets: [secret] };
const device = (number: number): string => `1ba98a6c-d1a5-49ef-ad1c-${String(number).padStart(12, '0')}`;
const keyOf = (number: number): string => userKeyOf('idfa', device(number)).userKey;
const hashOf = (number: number): number => hashUserKey(keyOf(number));
const rangeOf = (number: number) => ({ userHash: hashOf(number), afterSeq: 0, throughSeq: Infinity });
const bodyOf = (number: number): string =>
  `{"user_id":"${device(number)}","domain":"idfa","seg_block":[{"seg_id":${1 + (number % 5)}}]}`;

/** An entry of user `user` with sequence number `number`. */
const entryOf = (number: number, user = number) =>
  newRow(number, { userHash: hashOf(user), body: bodyOf(user), lane: number % 3 === 0 ? 'removal' : 'add' });
const entries = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => entryOf(first + at));

describe('an encrypted queue file', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  let compiled: Compiled;
  before(() => (compiled = compileStore()));
  after(() => compiled.remove());
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, 'queue.sqlite');
  });
  afterEach(() => folder.remove());

  async function opened(cipher: EncryptionOptions | undefined) {
    const store = new compiled.SqliteStore(path, cipher === undefined ? {} : { cipher });
    return { store, found: await store.open() };
  }

  /** Every byte of the folder: database, -wal, -shm and any other file. */
  const bytes = (): Buffer =>
    Buffer.concat(readdirSync(folder.path).map((file) => readFileSync(join(folder.path, file))));

  /** A user's id, its parts, and its hash in every form in which the store may write it. */
  function tracesOf(user: number): Buffer[] {
    const hash = hashOf(user);
    const float = Buffer.alloc(8);
    float.writeDoubleLE(hash);
    const integer = Buffer.alloc(8);
    integer.writeBigInt64BE(BigInt(hash));
    // SQLite stores a whole number of this size in seven or eight bytes, the highest first.
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

  it('contains nothing of an id', async () => {
    const { store } = await opened(on);
    await store.commit({
      append: entries(1, 300),
      begin: [{ post: 1, userHashes: [hashOf(1), hashOf(2)] }],
    });
    await store.commit({ repeat: [7] });
    await store.setMeta('erasures', JSON.stringify([{ hash: hashOf(9), key: keyOf(9) }]));
    // Open, with everything in the -wal; then closed, with everything in the file itself.
    assert.ok(readdirSync(folder.path).includes('queue.sqlite-wal'));
    assertNoTrace([1, 2, 5, 7, 9, 300]);
    await store.close();
    assertNoTrace([1, 2, 5, 7, 9, 300]);
  });

  it('would fail the test above if it did', async () => {
    const { store } = await opened(undefined);
    await store.commit({ append: entries(1, 3), begin: [{ post: 1, userHashes: [hashOf(2)] }] });
    await store.setMeta('note', String(hashOf(2)));
    const all = bytes();
    assert.deepEqual(
      tracesOf(2).map((trace) => all.includes(trace)),
      [true, true, true, true, true],
    );
    await store.close();
  });

  it('returns everything after a restart: rows, users, in-flight records and stored values', async () => {
    const written = entries(1, 50);
    const first = await opened(on);
    await first.store.commit({ append: written, begin: [{ post: 1, userHashes: [hashOf(1), 0] }] });
    await first.store.setMeta('authentications', '[1,2]');
    await first.store.close();
    const { store, found } = await opened(on);
    assert.equal(found.waiting, 50);
    assert.equal(
      found.bodyChars,
      written.reduce((sum, { body }) => sum + body.length, 0),
    );
    assert.deepEqual(found.recovered, [{ post: -1, userHashes: [hashOf(1), 0], untilWallMs: null }]);
    assert.deepEqual(
      await readAll(store),
      written.map((row) => ({ ...row, state: 'waiting' })),
    );
    const [rows] = await store.rowsOfUsers([rangeOf(17)], 1_000);
    assert.deepEqual(
      rows!.map(({ seq, userHash }) => [seq, userHash]),
      [[17, hashOf(17)]],
    );
    assert.equal(await store.getMeta('authentications'), '[1,2]');
    await store.close();
  });

  it('is not changed under another secret or without one, and the error says so', async () => {
    const { store } = await opened(on);
    await store.commit({ append: entries(1, 20) });
    await store.close();
    const before = bytes();
    for (const secrets of [['another secret'], []]) {
      for (const isOn of [true, false]) {
        const error = await errorOf(() => opened({ isOn, secrets }));
        assert.equal(error?.code, 'encrypted');
        assert.match(
          error.message,
          /is encrypted and cannot be opened .* stays unchanged.* credentialSecret/,
        );
      }
    }
    assert.deepEqual(bytes(), before);
    const again = await opened(on);
    assert.equal((await readAll(again.store)).length, 20);
    await again.store.close();
  });

  it('accepts a new secret together with the old one, and then no longer needs the old one', async () => {
    const first = await opened(on);
    await first.store.commit({ append: entries(1, 20) });
    await first.store.close();
    const { store } = await opened({ isOn: true, secrets: ['a new secret', secret] });
    assert.equal((await readAll(store)).length, 20);
    await store.close();
    const { store: later } = await opened({ isOn: true, secrets: ['a new secret'] });
    assert.equal((await readAll(later)).length, 20);
    await later.close();
    assert.equal(await codeOf(() => opened(on)), 'encrypted');
  });

  it('needs a secret when it is created', async () => {
    assert.equal(await codeOf(() => opened({ isOn: true, secrets: [] })), 'encrypted');
  });

  it('keeps plain rows, and reads encrypted ones after it is switched off, and finds both by user', async () => {
    const plain = await opened(undefined);
    await plain.store.commit({ append: [entryOf(1, 7), entryOf(2, 8)] });
    await plain.store.setMeta('note', `of ${device(9)}`);
    await plain.store.close();
    const encrypted = await opened(on);
    await encrypted.store.commit({ append: [{ ...entryOf(4, 7), cold: true }, entryOf(5, 9)] });
    // 4 is encrypted, 1 is not.
    const [its] = await encrypted.store.rowsOfUsers([rangeOf(7)], 10);
    assert.deepEqual(
      its!.map(({ seq, userHash }) => [seq, userHash]),
      [
        [1, hashOf(7)],
        [4, hashOf(7)],
      ],
    );
    assert.equal(await encrypted.store.getMeta('note'), `of ${device(9)}`);
    await encrypted.store.close();
    // Stored values are encrypted at once; entries stay as they are until they have ended.
    assert.ok(!bytes().includes(device(9)));
    assert.ok(bytes().includes(device(7)));
    const { store } = await opened(off);
    await store.commit({ append: [{ ...entryOf(7, 9), cold: true }] });
    assert.deepEqual(
      (await readAll(store)).map(({ seq }) => seq),
      [1, 2, 4, 5, 7],
    );
    const rows = await store.rowsOfUsers([rangeOf(7), rangeOf(9)], 100);
    assert.deepEqual(
      rows.flat().map(({ seq, body }) => [seq, body]),
      [
        [1, bodyOf(7)],
        [4, bodyOf(7)],
        [5, bodyOf(9)],
        [7, bodyOf(9)],
      ],
    );
    await store.close();
  });

  it('deletes its key once it is switched off and nothing encrypted is left', async () => {
    const first = await opened(on);
    await first.store.commit({ append: entries(1, 3), begin: [{ post: 1, userHashes: [hashOf(1)] }] });
    await first.store.setMeta('note', 'kept');
    await first.store.close();
    const { store } = await opened(off);
    await store.commit({ append: [entryOf(4)], remove: [1, 2, 3], settle: [-1] });
    await store.close();
    await (await opened(off)).store.close();
    const { store: later } = await opened({ isOn: false, secrets: ['another secret'] });
    assert.deepEqual(
      (await readAll(later)).map(({ seq }) => seq),
      [4],
    );
    assert.equal(await later.getMeta('note'), 'kept');
    await later.close();
  });

  it('is refused as damaged when its key is missing, and gets no new one', async () => {
    const { store } = await opened(on);
    await store.commit({ append: entries(1, 3) });
    await store.close();
    const db = new DatabaseSync(path);
    db.exec("DELETE FROM meta WHERE key = 'cipher'");
    db.close();
    const before = bytes();
    const error = await errorOf(() => opened(on));
    assert.equal(error?.code, 'damaged');
    assert.match(error.message, /its key is missing/);
    assert.deepEqual(bytes(), before);
    const plain = await opened(undefined);
    assert.equal(await codeOf(() => readAll(plain.store)), 'damaged');
    await plain.store.close();
  });

  it('returns a row that was changed in the file as it is, and the others complete', async () => {
    const { store } = await opened(on);
    await store.commit({ append: entries(1, 3) });
    await store.close();
    const db = new DatabaseSync(path);
    const { body } = db.prepare('SELECT body FROM entry WHERE seq = 2').get() as { body: string };
    const changed = body.slice(0, 60) + (body[60] === 'A' ? 'B' : 'A') + body.slice(61);
    db.prepare('UPDATE entry SET body = ? WHERE seq = 2').run(changed);
    db.close();
    const again = await opened(on);
    const rows = await readAll(again.store);
    assert.deepEqual(
      rows.map((row) => row.body),
      [bodyOf(1), changed, bodyOf(3)],
    );
    await again.store.close();
  });

  it('can, when orphaned, be viewed and purged without the secret, and searched with it', async () => {
    const { store } = await opened(on);
    await store.commit({ append: entries(1, 30) });
    await store.close();
    assert.equal(lookAt(path).waiting, 30);
    assert.equal(await codeOf(() => erase(path, ['wrong'], userKeysOf('idfa', device(4)))), 'encrypted');
    assert.equal(await erase(path, [secret], userKeysOf(undefined, device(4).toUpperCase())), 1);
    const later = storeOf(path, [secret]);
    await later.open();
    const bodies = (await readAll(later)).map(({ body }) => body);
    await later.close();
    assert.equal(bodies.length, 29);
    assert.ok(!bodies.includes(bodyOf(4)) && bodies.includes(bodyOf(5)));
    assert.equal(await purge(path), 29);
  });
});

describe('the cipher', () => {
  it('has the same blind index of a user within a file, and another one in the next', () => {
    const [one, other] = [new Cipher(newDataKey()), new Cipher(newDataKey())];
    const hashes = [0, 1, 2 ** 53 - 1, hashOf(1)];
    const tags = hashes.map((hash) => one.tagOf(hash));
    assert.deepEqual(
      hashes.map((hash) => one.tagOf(hash)),
      tags,
    );
    assert.equal(new Set([...tags, ...hashes, ...hashes.map((hash) => other.tagOf(hash))]).size, 12);
    for (const tag of tags) assert.ok(Number.isSafeInteger(tag) && tag >= 0);
  });

  it('never encrypts the same text in the same way, and decrypts only its own texts', () => {
    const dataKey = newDataKey();
    const [cipher, restarted] = [new Cipher(dataKey), new Cipher(dataKey)];
    const texts = [cipher.cipher('text'), cipher.cipher('text'), restarted.cipher('text')];
    assert.equal(new Set(texts).size, 3);
    for (const text of texts) assert.equal(new Cipher(dataKey).open(text), 'text');
    assert.equal(new Cipher(newDataKey()).open(texts[0]!), null);
    for (const broken of ['~', '~AAAA', texts[0]!.slice(0, -8), `${texts[0]!.slice(0, -2)}AA`])
      assert.equal(cipher.open(broken), null, broken);
  });

  it('unwraps its data key only with the secret under which it was wrapped', () => {
    const dataKey = newDataKey();
    const wrapped = wrapDataKey(dataKey, secret);
    assert.deepEqual(unwrapDataKey(wrapped, secret), dataKey);
    assert.equal(unwrapDataKey(wrapped, `${secret} `), null);
    assert.equal(unwrapDataKey(wrapped.slice(0, -4), secret), null);
    assert.ok(!wrapped.includes(dataKey.toString('base64').slice(0, 20)));
  });
});
