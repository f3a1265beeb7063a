// A staging in a thread of its own, as the main thread uses it.

import type { Worker } from 'node:worker_threads';

import { QueueError } from '../store';
import type { StagedRow } from '../sync-store';
import type { PlainError } from './plain-error';
import { stagingError } from './sqlite-errors';
import { packStaged, type PackedStagedRows } from './staged-rows';
import type { StagingFiles } from './staging-files';
import { newWorker } from './thread-host';

/** Data that a thread starts with. */
export interface StagingData {
  readonly files: StagingFiles;
  readonly key: Uint8Array | null;
}

export type StagingRequest =
  | { readonly method: 'begin' | 'end' | 'close' }
  | { readonly method: 'stage'; readonly rows: PackedStagedRows };
export type StagingReply =
  | { readonly kind: 'done'; readonly value: number | null }
  | ({ readonly kind: 'failed' } & PlainError);

interface PendingRequest {
  readonly resolve: (value: number | null) => void;
  readonly reject: (error: Error) => void;
}

export class StagingThread {
  readonly #worker: Worker;
  /** Calls without results, oldest first: results arrive in the order of the calls. */
  readonly #pending: PendingRequest[] = [];
  readonly #gone: Promise<void>;

  constructor({ files, key }: StagingData, onGone: () => void) {
    const worker = newWorker('staging-worker', { files, key });
    this.#worker = worker;
    let reason = 'its thread ended';
    worker.on('error', (error: Error) => (reason = error.message));
    worker.on('message', (reply: StagingReply) => {
      const pending = this.#pending.shift();
      if (this.#pending.length === 0) worker.unref();
      if (reply.kind === 'done') pending?.resolve(reply.value);
      else pending?.reject(new QueueError(reply.code, reply.message));
    });
    this.#gone = new Promise((resolve) => {
      worker.once('exit', () => {
        onGone();
        for (const { reject } of this.#pending.splice(0))
          reject(stagingError(new Error(reason), files.gathered));
        resolve();
      });
    });
    worker.unref();
  }

  async begin(): Promise<void> {
    await this.#call({ method: 'begin' });
  }

  async stage(rows: readonly StagedRow[]): Promise<void> {
    const packed = packStaged(rows);
    await this.#call({ method: 'stage', rows: packed }, packed.numbers.buffer);
  }

  async end(): Promise<number> {
    return (await this.#call({ method: 'end' }))!;
  }

  close(): Promise<void> {
    this.#worker.ref();
    this.#worker.postMessage({ method: 'close' } satisfies StagingRequest);
    return this.#gone;
  }

  #call(request: StagingRequest, ...moved: ArrayBuffer[]): Promise<number | null> {
    return new Promise((resolve, reject) => {
      if (this.#pending.push({ resolve, reject }) === 1) this.#worker.ref();
      this.#worker.postMessage(request, moved);
    });
  }
}
