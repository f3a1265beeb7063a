// Queue file in trouble: damage, permissions, a full disk, a second user, other versions; and its disk space.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { chownSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { toQueueError } from '../../src/queue/sqlite/sqlite-errors';
import { openLog, SqliteLog } from '../../src/queue/sqlite/sqlite-log';
import { migrations, openDatabase } from '../../src/queue/sqlite/sqlite-schema';
import { compileStore, type Compiled } from './compiled';
import { codeOf, errorOf, newRow, newRows, seqs, temporaryFolder } from './rows';

const nobody = 65534;

describe('the queue file', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  let compiled: Compiled;
  before(() => (compiled = compileStore()));
  after(() => compiled.remove());
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, 'queues', 'queue.db');
  });
  afterEach(() => folder.remove());

  function filled(rows: number): void {
    const log = openLog(path);
    log.takeOver();
    log.commit({ append: newRows(1, rows) });
    log.close();
  }

  /** Opens the file in another process, as another user if needed; returns the code of its error, or 'none'. */
  function codeInChild(as: { uid?: number } = {}): string {
    chmodSync(compiled.directory, 0o755);
    const script = `
      const { openLog } = require(${JSON.stringify(join(compiled.directory, 'sqlite-log.js'))});
      try { openLog(${JSON.stringify(path)}).close(); console.log('none'); } catch (error) { console.log(error.code); }`;
    return spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', cwd: '/', ...as }).stdout.trim();
  }

  it('and its folder are accessible only to their owner', () => {
    const log = openLog(path);
    log.commit({ append: [newRow(1)] });
    const modes = [path, `${path}-wal`, join(path, '..')].map((name) => statSync(name).mode & 0o777);
    log.close();
    assert.deepEqual(modes, [0o600, 0o600, 0o700]);
  });

  it('leaves no file beside it when it is closed', () => {
    filled(10);
    assert.deepEqual(readdirSync(join(path, '..')), ['queue.db']);
  });

  it('stores lanes and states by the same numbers as earlier versions', () => {
    const log = openLog(path);
    log.takeOver();
    log.commit({ append: [newRow(1), newRow(2), newRow(3), newRow(4, { lane: 'removal' })] });
    log.commit({ repeat: [3], append: [newRow(5, { lane: 'bulk' })] });
    const rows = (['add', 'removal', 'bulk'] as const).flatMap((lane) => log.read(lane, 0, 9, 9));
    log.close();
    assert.deepEqual(
      rows.map(({ lane, state }) => [lane, state]),
      [
        ['add', 'waiting'],
        ['add', 'waiting'],
        ['add', 'repeat'],
        ['removal', 'waiting'],
        ['bulk', 'waiting'],
      ],
    );
    const db = new DatabaseSync(path);
    const numbers = db.prepare('SELECT lane, state FROM entry ORDER BY seq').all();
    db.close();
    assert.deepEqual(
      numbers.map(({ lane, state }) => [lane, state]),
      [
        [0, 0],
        [0, 0],
        [0, 1],
        [1, 0],
        [2, 0],
      ],
    );
  });

  it('remembers the highest number after every row was removed', () => {
    const log = openLog(path);
    log.commit({ append: newRows(1, 50) });
    log.commit({ remove: seqs(1, 50) });
    log.close();
    const again = openLog(path);
    assert.deepEqual(again.takeOver(), {
      lastSeq: 50,
      waiting: 0,
      bodyChars: 0,
      recovered: [],
      oldestAppendedWallMs: null,
    });
    again.close();
  });

  it('keeps in-flight records of several processes until each is settled', () => {
    const posts = (arrived: number[], left: number[]) => {
      const log = openLog(path);
      const { recovered } = log.takeOver();
      log.commit({
        settle: arrived,
        begin: left.map((userHash, at) => ({ post: at + 1, userHashes: [userHash] })),
      });
      log.close();
      return recovered.map((record) => [record.post, record.userHashes[0]]);
    };
    posts([], [11, 12]);
    assert.deepEqual(posts([], [13]), [
      [-1, 11],
      [-2, 12],
    ]);
    assert.deepEqual(posts([-1], [14]), [
      [-1, 11],
      [-2, 12],
      [-3, 13],
    ]);
    assert.deepEqual(posts([], []), [
      [-2, 12],
      [-3, 13],
      [-4, 14],
    ]);
  });

  describe('when damaged', () => {
    async function isLeftAlone(damage: (bytes: Buffer) => Buffer): Promise<void> {
      filled(5000);
      const bytes = damage(readFileSync(path));
      writeFileSync(path, bytes);
      const error = await errorOf(() => {
        const log = openLog(path);
        try {
          log.takeOver();
          log.read('add', 0, Infinity, Infinity);
        } finally {
          log.close();
        }
      });
      assert.equal(error?.code, 'damaged');
      assert.ok(error.message.includes(path) && error.message.includes('move this file'), error.message);
      assert.deepEqual(readFileSync(path), bytes);
    }

    it('in its header is refused and left as it is', () =>
      isLeftAlone((bytes) => Buffer.concat([Buffer.alloc(100, 0xa5), bytes.subarray(100)])));

    it('in the middle is found by reading and left as it is', () =>
      isLeftAlone((bytes) => bytes.fill(0xa5, bytes.length / 2, bytes.length / 2 + 20_000)));

    it('by losing its second half is refused and left as it is', () =>
      isLeftAlone((bytes) => bytes.subarray(0, bytes.length / 2)));

    it('by being emptied is never mistaken for a new queue', async () => {
      filled(10);
      truncateSync(path);
      const error = await errorOf(() => openLog(path));
      assert.equal(error?.code, 'damaged');
      assert.match(error.message, /the file is empty/);
      assert.equal(statSync(path).size, 0);
    });

    it('by losing all but its -wal file is never mistaken for a new queue', async () => {
      const log = openLog(path);
      log.commit({ append: newRows(1, 10) });
      renameSync(path, `${path}.moved`);
      assert.equal(await codeOf(() => openLog(path)), 'damaged');
      renameSync(`${path}.moved`, path);
      log.close();
    });

    it('refuses every later call, so that nothing is overwritten', async () => {
      filled(5000);
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0xa5, bytes.length / 2, bytes.length / 2 + 20_000));
      const log = openLog(path);
      assert.equal(await codeOf(() => log.read('add', 0, Infinity, Infinity)), 'damaged');
      assert.equal(await codeOf(() => log.commit({ append: [newRow(9000)] })), 'damaged');
      log.close();
      assert.deepEqual(readFileSync(path), bytes);
    });

    it('is reported for a database of another program, which is left unchanged', async () => {
      mkdirSync(join(path, '..'));
      const other = new DatabaseSync(path);
      other.exec('CREATE TABLE contacts (name TEXT)');
      other.close();
      const bytes = readFileSync(path);
      assert.equal(await codeOf(() => openLog(path)), 'damaged');
      assert.deepEqual(readFileSync(path), bytes);
    });
  });

  describe('that cannot be written', () => {
    it('because its name is a folder is refused as read-only', async () => {
      mkdirSync(path, { recursive: true });
      assert.equal(await codeOf(() => openLog(path)), 'readonly');
    });

    it('because its folder is a file is refused as read-only', async () => {
      writeFileSync(join(folder.path, 'queues'), '');
      assert.equal(await codeOf(() => openLog(path)), 'readonly');
    });

    // Permissions do not restrict root, so a test run by root uses a child process of the user nobody.
    const isRoot = process.getuid?.() === 0;
    const codeAsUser = (): Promise<string> | string =>
      isRoot ? codeInChild({ uid: nobody }) : codeOf(() => openLog(path).close());
    function give(...names: string[]): void {
      chmodSync(folder.path, 0o755);
      if (isRoot) for (const name of names) chownSync(name, nobody, nobody);
    }

    it('because the file is read-only is refused as such', async () => {
      filled(1);
      give(path, join(path, '..'));
      assert.equal(await codeAsUser(), 'none', 'while it can be written');
      chmodSync(path, 0o400);
      assert.equal(await codeAsUser(), 'readonly');
      chmodSync(path, 0o600);
    });

    it('because its folder is read-only is refused as such', async () => {
      filled(1);
      give(path, join(path, '..'));
      chmodSync(join(path, '..'), 0o500);
      assert.equal(await codeAsUser(), 'readonly');
      chmodSync(join(path, '..'), 0o700);
    });
  });

  describe('on a full disk', () => {
    /** A disk of 1 MiB where this process may mount one, else null. */
    function mountSmallDisk(): string | null {
      const at = join(folder.path, 'disk');
      mkdirSync(at);
      const made = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at]);
      return made.status === 0 ? at : null;
    }

    /** Every commit removes the last row of the one before, so that a failed commit differs from none. */
    async function fillsAndRecovers(log: SqliteLog, makeRoom: () => void): Promise<void> {
      const more = { body: JSON.stringify('x'.repeat(2000)) };
      let next = 1;
      const commit = () => log.commit({ append: newRows(next, next + 9, more), remove: [next - 1] });
      let error = await errorOf(commit);
      while (error === null && next < 5000) {
        next += 10;
        error = await errorOf(commit);
      }
      assert.equal(error?.code, 'full');
      const numbers = () => log.read('add', 0, Infinity, Infinity).map((row) => row.seq);
      const before = seqs(1, next - 1).filter((seq) => seq % 10 !== 0 || seq === next - 1);
      assert.deepEqual(numbers(), before);
      assert.equal(log.takeOver().waiting, before.length);
      makeRoom();
      commit();
      assert.deepEqual(numbers(), [...before.slice(0, -1), ...seqs(next, next + 9)]);
    }

    it('refuses the commit, changes nothing, and continues once there is room', async () => {
      const db: DatabaseSync = openDatabase(path);
      db.exec('PRAGMA max_page_count = 60');
      const log = new SqliteLog(db, path);
      await fillsAndRecovers(log, () => db.exec('PRAGMA max_page_count = 6000'));
      log.close();
    });

    it('does the same when the disk itself is full', async () => {
      const disk = mountSmallDisk();
      if (disk === null) return; // Not allowed to mount; the page limit above takes the same way.
      try {
        path = join(disk, 'queue.db');
        const log = openLog(path);
        await fillsAndRecovers(log, () => execFileSync('mount', ['-o', 'remount,size=8m', disk]));
        log.close();
      } finally {
        execFileSync('umount', [disk]);
      }
    });
  });

  describe('in use', () => {
    it('by another process is refused with a sentence, and opens once that process has ended', async () => {
      filled(3);
      const script = `
        require(${JSON.stringify(join(compiled.directory, 'sqlite-log.js'))}).openLog(${JSON.stringify(path)});
        console.log('open'); setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
      await once(child.stdout, 'data');
      const error = await errorOf(() => openLog(path));
      child.kill('SIGKILL');
      await once(child, 'exit');
      assert.equal(error?.code, 'locked');
      assert.match(error.message, /second Node-RED/);
      const log = openLog(path);
      assert.equal(log.takeOver().waiting, 3);
      log.close();
    });

    it('in this process is refused to others, also after a second opening here was refused', async () => {
      const log = openLog(path);
      assert.equal(await codeOf(() => openLog(path)), 'locked');
      assert.equal(codeInChild(), 'locked');
      log.commit({ append: [newRow(1)] });
      log.close();
      assert.equal(codeInChild(), 'none');
    });
  });

  describe('of another version', () => {
    const newer = [
      ...migrations,
      (db: DatabaseSync) => db.exec('ALTER TABLE entry ADD COLUMN tries INTEGER'),
    ];

    it('that is older is migrated and keeps its rows', () => {
      filled(7);
      const db = openDatabase(path, newer);
      assert.equal(db.prepare('SELECT count(tries) AS tries, count(*) AS rows FROM entry').get()?.rows, 7);
      db.close();
    });

    it('that is newer is refused and left as it is', async () => {
      filled(7);
      openDatabase(path, newer).close();
      const bytes = readFileSync(path);
      assert.equal(await codeOf(() => openLog(path)), 'newer_version');
      assert.deepEqual(readFileSync(path), bytes);
    });

    it('stays unchanged when a migration fails half-way', async () => {
      filled(7);
      const failing = [...newer, () => assert.fail('no')];
      assert.equal(await codeOf(() => openDatabase(path, failing)), 'failed');
      const log = openLog(path);
      assert.equal(log.takeOver().waiting, 7);
      log.close();
    });
  });

  it('returns the disk space of a large backlog, a little at a time', () => {
    const log = openLog(path);
    for (let first = 1; first < 200_000; first += 10_000)
      log.commit({ append: newRows(first, first + 9999) });
    log.commit({ remove: seqs(1, 199_990) });
    let steps = 0;
    while (log.tidy(true)) steps++;
    const kept = log.read('add', 0, Infinity, Infinity).map((row) => row.seq);
    log.close();
    assert.ok(steps > 5, `${steps} steps`);
    assert.ok(statSync(path).size < 1100 * 8192, `${statSync(path).size} bytes are left`);
    assert.deepEqual(kept, seqs(199_991, 200_000));
  });

  it('does not try forever to return space of a file that cannot shrink', () => {
    filled(1);
    const db = new DatabaseSync(path);
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM');
    db.close();
    const log = openLog(path);
    log.commit({ append: newRows(2, 60_000, { body: JSON.stringify('x'.repeat(300)) }) });
    log.commit({ remove: seqs(1, 60_000) });
    assert.equal(log.tidy(true), false);
    log.close();
  });

  it('empties a large -wal file when idle', () => {
    const log = openLog(path);
    log.commit({ append: newRows(1, 20_000) });
    assert.ok(statSync(`${path}-wal`).size > 1_048_576);
    log.tidy(true);
    assert.equal(statSync(`${path}-wal`).size, 0);
    log.close();
  });

  it('keeps sources only of successful commits', async () => {
    const log = openLog(path);
    const source = { node: 'new', account: 'new' };
    assert.equal(
      await codeOf(() => log.commit({ append: [newRow(1, { source }), newRow(2, { userHash: 0.5 })] })),
      'failed',
    );
    log.commit({ append: [newRow(1, { source })] });
    log.close();
    const again = openLog(path);
    assert.deepEqual(again.read('add', 0, 9, 9)[0]?.source, source);
    again.close();
  });
});

describe('an error of SQLite or the file system', () => {
  const cases: [string, object, string][] = [
    ['SQLITE_FULL', { errcode: 13 }, 'full'],
    ['SQLITE_READONLY', { errcode: 8 }, 'readonly'],
    ['SQLITE_READONLY_DIRECTORY', { errcode: 1544 }, 'readonly'],
    ['SQLITE_CANTOPEN', { errcode: 14 }, 'readonly'],
    ['SQLITE_BUSY', { errcode: 5 }, 'locked'],
    ['SQLITE_BUSY_RECOVERY', { errcode: 261 }, 'locked'],
    ['SQLITE_CORRUPT', { errcode: 11 }, 'damaged'],
    ['SQLITE_NOTADB', { errcode: 26 }, 'damaged'],
    ['SQLITE_IOERR_CORRUPTFS', { errcode: 8458 }, 'damaged'],
    ['SQLITE_IOERR_WRITE', { errcode: 778 }, 'failed'],
    ['SQLITE_READONLY_DBMOVED', { errcode: 1032 }, 'failed'],
    ['EACCES', { code: 'EACCES' }, 'readonly'],
    ['EROFS', { code: 'EROFS' }, 'readonly'],
    ['ENOSPC', { code: 'ENOSPC' }, 'full'],
    ['EMFILE', { code: 'EMFILE' }, 'failed'],
  ];
  for (const [name, fields, code] of cases) {
    it(`${name} is reported as ${code}, with the file's name`, () => {
      const error = toQueueError(Object.assign(new Error('what it said'), fields), '/data/queue.db');
      assert.equal(error.code, code);
      assert.match(error.message, /\/data\/queue\.db.*what it said/);
    });
  }
});
