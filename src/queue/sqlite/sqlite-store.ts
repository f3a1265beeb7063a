// Queue store in SQLite. The log of a file runs in a thread of its own, because a disk may be slow; `:memory:`
// runs in this one.

import { InlineHost } from './log-host';
import type { LogCall, LogHost, LogMethod, LogResult, PendingCall } from './log-host';
import type { Commit, Lane, Opened, QueueStore, QueueError, Row, UserRange } from '../store';
import type { EncryptionOptions } from './encryption';
import { inMemory, queueError, toQueueError } from './sqlite-errors';
import { SqliteSync } from './sqlite-sync';
import { startThread } from './thread-host';

/** Clock of the store; part of the engine's clock. */
export interface StoreClock {
  /** Calls once after `delayMs`; returns a function that cancels it. */
  after(delayMs: number, call: () => void): () => void;
  /** Calls once at the end of this turn of the event loop. */
  endOfTurn(call: () => void): void;
}

export interface SqliteStoreOptions {
  readonly clock?: StoreClock;
  /** Rows per step of a commit in this thread; other work runs between two steps. */
  readonly rowsPerStep?: number;
  /** How user ids are encrypted; plain text if absent. */
  readonly cipher?: EncryptionOptions;
}

type CallOf<M extends LogMethod> = Extract<LogCall, { readonly method: M }>;

/** Delay after a commit before free pages are returned, and between two steps of that. */
const tidyAfterMs = 500;
const tidyAgainMs = 50;

/** A step of this size takes some milliseconds. */
const defaultRowsPerStep = 1_000;

const systemClock: StoreClock = {
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs).unref();
    return () => clearTimeout(timer);
  },
  endOfTurn(call) {
    setImmediate(call);
  },
};

/** With the path `:memory:` the rows end with `close`. */
export class SqliteStore implements QueueStore {
  readonly durable: boolean;
  /** Absent for a queue in memory. */
  readonly sync?: SqliteSync;
  readonly #clock: StoreClock;
  readonly #cipher: EncryptionOptions | null;
  readonly #rowsPerStep: number;
  #isOpen = false;
  #host: LogHost | null = null;
  /** Calls wait here in order while the log is being opened. */
  #opening: Promise<void> | null = null;
  #waiting: PendingCall[] = [];
  /** Calls without results of a dead thread. */
  #left: readonly PendingCall[] = [];
  /** Number of commits in this file, according to the results so far. */
  #commits = 0;
  #cancelTidy: (() => void) | null = null;
  #committedSinceTidy = false;
  #closed: Promise<void> = Promise.resolve();

  constructor(
    private readonly path: string,
    options: SqliteStoreOptions = {},
  ) {
    this.durable = path !== inMemory;
    this.#clock = options.clock ?? systemClock;
    this.#cipher = options.cipher ?? null;
    this.#rowsPerStep = options.rowsPerStep ?? defaultRowsPerStep;
    if (this.durable) this.sync = new SqliteSync(path, (call) => this.#call('sync', [call]));
  }

  async open(): Promise<Opened> {
    await this.#closed;
    if (this.#isOpen) throw queueError('failed', this.path, 'it is open already');
    this.#isOpen = true;
    try {
      return await this.#call('takeOver', [true]);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  commit(commit: Commit): Promise<void> {
    return this.#call('commit', [commit], (commits) => {
      this.#commits = commits;
      this.#committedSinceTidy = true;
      this.#tidyIn(tidyAfterMs);
    });
  }

  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<readonly Row[]> {
    return this.#call('read', [lane, afterSeq, throughSeq, limit]);
  }

  rowsOfUsers(ranges: readonly UserRange[], limit: number): Promise<readonly (readonly Row[])[]> {
    return this.#call('rowsOfUsers', [ranges, limit]);
  }

  getMeta(key: string): Promise<string | null> {
    return this.#call('getMeta', [key]);
  }

  setMeta(key: string, value: string): Promise<void> {
    return this.#call('setMeta', [key, value], () => undefined);
  }

  close(): Promise<void> {
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#cancelTidy?.();
      this.#cancelTidy = null;
      this.#closed = this.#finish();
    }
    return this.#closed;
  }

  #call<M extends LogMethod>(method: M, args: CallOf<M>['args']): Promise<LogResult<M>>;
  #call<M extends LogMethod, T>(
    method: M,
    args: CallOf<M>['args'],
    take: (result: LogResult<M>) => T,
  ): Promise<T>;
  #call(method: LogMethod, args: LogCall['args'], take: (result: never) => unknown = (result) => result) {
    if (!this.#isOpen) return Promise.reject(queueError('closed', this.path, ''));
    return new Promise((resolve, reject) => {
      const call = { method, args } as LogCall;
      this.#send({ call, resolve: (value) => resolve(take(value as never)), reject });
    });
  }

  #send(pending: PendingCall): void {
    if (this.#host !== null) {
      this.#host.call(pending);
      return;
    }
    this.#waiting.push(pending);
    this.#opening ??= this.#openLog();
  }

  /** Opens the log, then carries out the waiting calls. */
  async #openLog(): Promise<void> {
    try {
      const host = await this.#start();
      this.#settleLeft(host.commits);
      this.#commits = host.commits;
      this.#host = host;
    } catch (error) {
      this.#refuse(toQueueError(error, this.path));
    }
    this.#opening = null;
    for (const pending of this.#waiting.splice(0)) this.#host?.call(pending);
  }

  async #start(): Promise<LogHost> {
    const turns = {
      rowsPerStep: this.#rowsPerStep,
      endOfTurn: (call: () => void) => this.#clock.endOfTurn(call),
    };
    if (!this.durable) return new InlineHost(this.path, this.#cipher, turns);
    return startThread({ path: this.path, cipher: this.#cipher }, turns, (left) => this.#threadDied(left));
  }

  #refuse(error: QueueError): void {
    const refused = [...this.#left, ...this.#waiting];
    this.#left = [];
    this.#waiting = [];
    for (const pending of refused) pending.reject(error);
  }

  #threadDied(left: readonly PendingCall[]): void {
    this.#host = null;
    this.#left = left;
    this.#opening = this.#openLog();
  }

  /** Only the first call can have been carried out, because the results of earlier calls have arrived. */
  #settleLeft(commits: number): void {
    const left = this.#left;
    this.#left = [];
    const error = queueError('failed', this.path, 'its thread ended; it was opened again');
    left.forEach(({ call, resolve, reject }, at) => {
      if (at === 0 && call.method === 'commit' && commits > this.#commits) resolve(commits);
      else reject(error);
    });
  }

  async #finish(): Promise<void> {
    await this.sync?.close();
    for (;;) {
      while (this.#opening !== null) await this.#opening;
      const host = this.#host;
      if (host === null) return;
      await host.close();
      if (this.#host === host) this.#host = null;
    }
  }

  #tidyIn(delayMs: number): void {
    if (!this.#isOpen) return;
    this.#cancelTidy ??= this.#clock.after(delayMs, () => {
      this.#cancelTidy = null;
      void this.#tidy();
    });
  }

  /** Ignores errors: the next commit fails for the same reason and reports it. */
  async #tidy(): Promise<void> {
    const idle = !this.#committedSinceTidy;
    this.#committedSinceTidy = false;
    try {
      const more = await this.#call('tidy', [idle]);
      if (more) this.#tidyIn(tidyAgainMs);
      else if (!idle) this.#tidyIn(tidyAfterMs);
    } catch {
      return;
    }
  }
}
