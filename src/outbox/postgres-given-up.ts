// Connections that a line has given up, and whose backends may live on. While one of them is at work, the line asks
// nothing else: that would wait for the same lock or the same standby, and each try would leave one more behind. One that
// waits for its client is ended, so that nothing that is still on its way to it is carried out later.

import type { Client } from 'pg';

import { CallError, isRefusal } from './postgres-errors';

/** By it an administrator knows our connections, and we our own backends from others that got their number. */
export const applicationName = 'instant audience';

type Ask = <T extends object>(sql: string, values: number[][]) => Promise<T[]>;

interface Backend {
  readonly pid: number;
  readonly ended: boolean;
  /** Whether it waits for a synchronous standby. */
  readonly unconfirmed: boolean;
}

const endThem = `
  SELECT pid, coalesce(wait_event = 'SyncRep', false) AS unconfirmed,
    CASE WHEN wait_event_type = 'Client' THEN pg_terminate_backend(pid) ELSE false END AS ended
  FROM pg_stat_activity
  WHERE pid = ANY($1::integer[]) AND pid <> pg_backend_pid()
    AND datname = current_database() AND application_name = '${applicationName}'`;

export class GivenUp {
  #pids: readonly number[] = [];

  add(client: Client): void {
    // Not among the types of `pg`; a pooler makes one up, which no backend has.
    const { processID } = client as { processID?: number | null };
    if (typeof processID === 'number') this.#pids = [...this.#pids, processID];
  }

  /** Resolves when none of them is at work any more. Rejects with a CallError. */
  async end(ask: Ask): Promise<void> {
    if (this.#pids.length === 0) return;
    const atWork = (await this.#found(ask)).filter(({ ended }) => !ended);
    this.#pids = atWork.map(({ pid }) => pid);
    if (atWork.length === 0) return;
    const why = atWork.some(({ unconfirmed }) => unconfirmed)
      ? 'no synchronous standby has confirmed an earlier statement yet'
      : 'it is still at work on an earlier statement';
    throw new CallError(new Error(why), 'no');
  }

  async #found(ask: Ask): Promise<readonly Backend[]> {
    try {
      return await ask<Backend>(endThem, [[...this.#pids]]);
    } catch (error) {
      // Who may not look at them goes on as if there were none.
      if (isRefusal(error instanceof CallError ? error.reason : error)) return [];
      throw error;
    }
  }
}
