// One machine's disk: queue files that outlive processes. It takes time, fills up and fails, and a process may
// die at any of its calls. Completed calls survive, as with kill -9.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { openLog, type SqliteLog } from '../../../src/queue/sqlite/sqlite-log';
import { suppressionKeyNote } from '../../../src/queue/suppression';
import { QueueError } from '../../../src/queue/store';
import type { Commit, Lane, Opened, QueueStore, Row, UserRange } from '../../../src/queue/store';
import type { MemberChange, SyncStore } from '../../../src/queue/sync-store';
import { PlainSyncStore } from '../../queue/plain-sync-store';
import type { Dice } from './dice';
import { epochMs, type ProcessTime } from './process-time';
import type { WorldTime } from './virtual-time';

/** Parts of a process that its calls need. */
export interface DiskUser {
  readonly time: ProcessTime;
  readonly diesAt: (port: 'disk', when: 'before' | 'after') => boolean;
  /** A call has begun, or ended. */
  readonly busy: (by: 1 | -1) => void;
}

interface File {
  readonly path: string;
  /** Real SQLite. */
  readonly log: SqliteLog;
  /** Members of synced segments, and what is staged. */
  readonly sync: PlainSyncStore;
  openedBy: DiskStore | null;
}

export class Disk {
  state: 'well' | 'full' | 'broken' | 'slow' = 'well';
  readonly files = new Map<string, File>();
  /** A commit has changed members. */
  onMembers: (changes: readonly MemberChange[]) => void = () => undefined;

  constructor(
    readonly world: WorldTime,
    readonly dice: Dice,
    private readonly delayMs: number,
    /** Folder of real files; without it each file is a database in memory. */
    private readonly filesAt: string | null,
    private readonly encrypted = false,
    /** Whether its stores keep members of synced segments. */
    readonly syncs = false,
  ) {}

  store(path: string, user: DiskUser): QueueStore {
    return new DiskStore(this, path, user);
  }

  file(name: string): File {
    let file = this.files.get(name);
    if (file === undefined) {
      const path = this.filesAt === null ? ':memory:' : `${this.filesAt}-${this.files.size}.queue`;
      remove(path);
      const log = openLog(path, this.encrypted ? { isOn: true, secrets: ['secret'] } : null);
      const nowMinutes = (): number => Math.floor((epochMs + this.world.nowMs) / 60_000);
      const sync = new PlainSyncStore(nowMinutes, () => log.getMeta(suppressionKeyNote));
      this.files.set(name, (file = { path, log, sync, openedBy: null }));
    }
    return file;
  }

  callMs(): number {
    return this.dice.next() * (this.state === 'slow' ? 3_000 : this.delayMs);
  }

  /** The process died: its locks are released. */
  unlock(): void {
    for (const file of this.files.values()) file.openedBy = null;
  }

  /** Which of these texts are readable for someone with the files. */
  readable(texts: readonly string[]): string[] {
    const bytes = [...this.files.values()]
      .flatMap(({ path }) => [path, `${path}-wal`])
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path));
    return texts.filter((text) => bytes.some((its) => its.includes(text)));
  }

  /** Deletes the files of an ended run. */
  remove(): void {
    for (const { path, log } of this.files.values()) {
      log.close();
      remove(path);
    }
  }
}

class DiskStore implements QueueStore {
  readonly durable = true;
  readonly sync?: SyncStore;
  #last: Promise<unknown> = Promise.resolve();
  #isOpen = false;

  constructor(
    private readonly disk: Disk,
    private readonly path: string,
    private readonly user: DiskUser,
  ) {
    if (disk.syncs) this.sync = this.#newSync();
  }

  #newSync(): SyncStore {
    const read = <T>(work: (sync: SyncStore) => Promise<T>): Promise<T> =>
      this.#next(false, ({ sync }) => work(sync));
    const write = <T>(work: (sync: SyncStore) => Promise<T>): Promise<T> =>
      this.#next(true, ({ sync }) => work(sync));
    return {
      segments: () => read((sync) => sync.segments()),
      keep: (segment) => write((sync) => sync.keep(segment)),
      forget: (segment) => write((sync) => sync.forget(segment)),
      setState: (state) => write((sync) => sync.setState(state)),
      beginStaging: (segment) => write((sync) => sync.beginStaging(segment)),
      stage: (segment, rows) => write((sync) => sync.stage(segment, rows)),
      endStaging: (segment) => write((sync) => sync.endStaging(segment)),
      dropStaging: (segment) => write((sync) => sync.dropStaging(segment)),
      staged: (segment) => read((sync) => sync.staged(segment)),
      compare: (...args) => read((sync) => sync.compare(...args)),
      due: (...args) => read((sync) => sync.due(...args)),
      segmentsOf: (memberKeys) => read((sync) => sync.segmentsOf(memberKeys)),
      suppress: (...args) => write((sync) => sync.suppress(...args)),
      suppressions: () => read((sync) => sync.suppressions()),
      liftSuppressions: (hashes) => write((sync) => sync.liftSuppressions(hashes)),
    };
  }

  open(): Promise<Opened> {
    return this.#next(false, (file) => {
      if (file.openedBy !== null) throw new QueueError('locked', 'the file is in use');
      file.openedBy = this;
      this.#isOpen = true;
      return file.log.takeOver();
    });
  }

  commit(commit: Commit): Promise<void> {
    return this.#next(true, ({ log, sync }) => {
      log.commit(commit);
      sync.commit(commit.members ?? [], commit.syncStates ?? []);
      if (commit.members !== undefined) this.disk.onMembers(commit.members);
    });
  }

  read(lane: Lane, after: number, through: number, limit: number): Promise<readonly Row[]> {
    return this.#next(false, ({ log }) => log.read(lane, after, through, limit));
  }

  rowsOfUsers(ranges: readonly UserRange[], limit: number): Promise<readonly (readonly Row[])[]> {
    return this.#next(false, ({ log }) => log.rowsOfUsers(ranges, limit));
  }

  getMeta(key: string): Promise<string | null> {
    return this.#next(false, ({ log }) => log.getMeta(key));
  }

  setMeta(key: string, value: string): Promise<void> {
    return this.#next(true, ({ log }) => log.setMeta(key, value));
  }

  close(): Promise<void> {
    const closed = this.#last.then(() => {
      this.#isOpen = false;
      const file = this.disk.file(this.path);
      if (file.openedBy === this) file.openedBy = null;
    });
    this.#last = closed;
    return closed;
  }

  #next<T>(writes: boolean, work: (file: File) => T | Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#carryOut(writes, work));
    this.#last = result.catch(() => undefined);
    return result;
  }

  #carryOut<T>(writes: boolean, work: (file: File) => T | Promise<T>): Promise<T> {
    const { disk, user } = this;
    user.busy(1);
    return new Promise((resolve, reject) => {
      disk.world.after(disk.callMs(), () => {
        if (!user.time.alive || user.diesAt('disk', 'before')) return;
        const result = new Promise<T>((done) => done(this.#act(writes, work)));
        result.catch(() => undefined);
        // The caller dies at the end of this call.
        if (user.diesAt('disk', 'after')) return;
        const back = (): void => {
          user.busy(-1);
          result.then(resolve, reject);
        };
        disk.world.after(disk.callMs(), () => user.time.run(back));
      });
    });
  }

  #act<T>(writes: boolean, work: (file: File) => T | Promise<T>): T | Promise<T> {
    const { state } = this.disk;
    const file = this.disk.file(this.path);
    if (state === 'broken') throw new QueueError('failed', 'the disk cannot be used');
    if (state === 'full' && writes) throw new QueueError('full', 'the disk is full');
    if (file.openedBy !== null && file.openedBy !== this)
      throw new QueueError('locked', 'the file is in use');
    if (file.openedBy === null && this.#isOpen) throw new QueueError('closed', 'the queue is closed');
    return work(file);
  }
}

function remove(path: string): void {
  if (path !== ':memory:') for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
}
