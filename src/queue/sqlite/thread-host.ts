// Thread host: a log in a thread of its own, as the main thread uses it.

import { Worker } from 'node:worker_threads';

import type { LogCall, LogHost, PendingCall, Turns } from './log-host';
import { QueueError, type Commit, type NewRow } from '../store';
import { packNew, unpackNew, unpackRead, type PackedNew, type PackedRead } from './packed-rows';
import type { PlainError } from './plain-error';
import type { EncryptionOptions } from './encryption';

/** Data that a thread starts with. */
export interface ThreadData {
  readonly path: string;
  readonly cipher: EncryptionOptions | null;
}

/** A commit's new rows travel beside it; of very many rows, all but the last before it. */
export type ThreadRequest =
  | { readonly kind: 'rows'; readonly append: PackedNew }
  | { readonly kind: 'call'; readonly call: LogCall; readonly append: PackedNew | null }
  | { readonly kind: 'close' };
export type ThreadReply =
  | { readonly kind: 'opened'; readonly commits: number }
  | ({ readonly kind: 'refused' } & PlainError)
  | { readonly kind: 'done'; readonly value: unknown }
  /** The result of `read`. */
  | { readonly kind: 'rows'; readonly rows: PackedRead }
  | ({ readonly kind: 'failed' } & PlainError);

/** Receives the calls without results when a thread dies, in order. The first may have been carried out. */
export type OnDeath = (left: readonly PendingCall[]) => void;

/** Resolves once the thread has opened the log; rejects with a QueueError, and the thread has then ended. */
export function startThread(data: ThreadData, turns: Turns, onDeath: OnDeath): Promise<LogHost> {
  const { path } = data;
  const worker = newWorker('sqlite-worker', data);
  return new Promise((resolve, reject) => {
    let reason = 'it ended';
    let refusal: QueueError | null = null;
    worker.once('error', (error: Error) => (reason = error.message));
    worker.once('message', (reply: ThreadReply) => {
      if (reply.kind === 'opened') resolve(new ThreadHost(worker, reply.commits, turns, onDeath));
      else if (reply.kind === 'refused') refusal = new QueueError(reply.code, reply.message);
    });
    // No effect once the log is open.
    worker.once('exit', () => reject(refusal ?? new QueueError('failed', startFailed(path, reason))));
  });
}

/** Short-lived rows of a step or a page: about a megabyte. By default Node.js 24 lets a thread fill 192 MB with them. */
const resourceLimits = { maxYoungGenerationSizeMb: 6 };

/** When run from source, as in tests, the thread needs the same TypeScript loader as its parent. */
export function newWorker(name: 'sqlite-worker' | 'staging-worker', workerData: object): Worker {
  // Two literal paths, so that a bundler finds both.
  const file: string =
    name === 'sqlite-worker' ? require.resolve('./sqlite-worker') : require.resolve('./staging-worker');
  const execArgv = file.endsWith('.ts') ? ['--require', require.resolve('tsx/cjs')] : [];
  return new Worker(file, { workerData, execArgv, resourceLimits });
}

function startFailed(path: string, reason: string): string {
  return `The thread for the queue file ${path} did not start (${reason}).`;
}

function* requestsOf(call: LogCall, rowsPerStep: number): Generator<ThreadRequest, void> {
  if (call.method !== 'commit') {
    yield { kind: 'call', call, append: null };
    return;
  }
  const { append = [], ...rest } = call.args[0];
  let at = 0;
  for (; append.length - at > rowsPerStep; at += rowsPerStep)
    yield { kind: 'rows', append: packNew(append.slice(at, at + rowsPerStep)) };
  const last = append.length === 0 ? null : packNew(at === 0 ? append : append.slice(at));
  yield { kind: 'call', call: { method: 'commit', args: [rest] }, append: last };
}

/** The call as it was made, in the thread. `before`: rows that came before it. */
export function callOf(
  { call, append }: Extract<ThreadRequest, { kind: 'call' }>,
  before: readonly NewRow[],
): LogCall {
  if (call.method !== 'commit' || append === null) return call;
  const rows = unpackNew(append);
  const commit: Commit = { ...call.args[0], append: before.length === 0 ? rows : [...before, ...rows] };
  return { method: 'commit', args: [commit] };
}

class ThreadHost implements LogHost {
  /** Calls without results, oldest first: results arrive in the order of the calls. */
  readonly #pending: PendingCall[] = [];
  /** What has not been posted yet, of the first perhaps a part. */
  readonly #unsent: Iterator<ThreadRequest, void>[] = [];
  readonly #gone: Promise<void>;
  #closing = false;

  constructor(
    private readonly worker: Worker,
    readonly commits: number,
    private readonly turns: Turns,
    onDeath: OnDeath,
  ) {
    this.#gone = new Promise((resolve) => {
      worker.once('exit', () => {
        if (!this.#closing || this.#pending.length > 0) onDeath(this.#pending);
        resolve();
      });
    });
    // 'exit' follows and informs the owner; without a listener this event would end the process.
    worker.on('error', () => undefined);
    worker.on('message', (reply: ThreadReply) => this.#settle(reply));
    worker.unref();
  }

  call(pending: PendingCall): void {
    // An idle queue does not keep a process alive, a commit on its way does.
    if (this.#pending.push(pending) === 1) this.worker.ref();
    this.#send(requestsOf(pending.call, this.turns.rowsPerStep));
  }

  close(): Promise<void> {
    this.#closing = true;
    this.worker.ref();
    this.#send([{ kind: 'close' } as const].values());
    return this.#gone;
  }

  #send(requests: Iterator<ThreadRequest, void>): void {
    if (this.#unsent.push(requests) === 1) this.#post();
  }

  #post(): void {
    for (let requests = this.#unsent[0]; requests !== undefined; requests = this.#unsent[0]) {
      const { value: request } = requests.next();
      if (request === undefined) {
        this.#unsent.shift();
        continue;
      }
      const rows = request.kind === 'close' ? null : request.append;
      this.worker.postMessage(request, rows === null ? [] : [rows.numbers.buffer]);
      if (request.kind === 'rows') {
        this.turns.endOfTurn(() => this.#post());
        return;
      }
    }
  }

  #settle(reply: ThreadReply): void {
    const pending = this.#pending.shift();
    if (this.#pending.length === 0 && !this.#closing) this.worker.unref();
    if (reply.kind === 'done') pending?.resolve(reply.value);
    else if (reply.kind === 'rows') pending?.resolve(unpackRead(reply.rows));
    else if (reply.kind === 'failed') pending?.reject(new QueueError(reply.code, reply.message));
  }
}
