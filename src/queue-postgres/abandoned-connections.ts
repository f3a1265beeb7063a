// Abandoned connections, whose backends may still run. While one of them is working, the line starts no other
// call: that would wait for the same lock or the same standby, and each try would leave one more behind. A
// backend that waits for its client is terminated, so that statements still on their way to it are not carried
// out later.

import type { Client } from 'pg';

import { CallError, isRefusal } from './postgres-errors';

/**
 * Lets administrators find our connections, and lets us distinguish our backends from others that reuse their
 * number.
 */
export const applicationName = 'instant audience';

type Ask = <T extends object>(sql: string, values: (number[] | string[])[]) => Promise<T[]>;

/** A number alone does not identify a backend: after a restart, or on another host, another one may have it. */
interface Backend {
  readonly pid: number;
  /** Its `backendStart`. */
  readonly started: string;
}

interface Found extends Backend {
  readonly ended: boolean;
  /** Whether it waits for a synchronous standby. */
  readonly unconfirmed: boolean;
}

/** SQL for the start time of a backend in `pg_stat_activity`. */
export const backendStart = 'extract(epoch FROM backend_start)::text';

/** SQL for `startOf`. */
export const ownStart = `(SELECT ${backendStart} FROM pg_stat_activity WHERE pid = pg_backend_pid())`;

/** Start time of a connection's backend, as `ownStart` returned it. */
export const startOf = new WeakMap<Client, string>();

/** Null before it is connected. A pooler invents a number, which no backend has. */
export function pidOf(client: Client): number | null {
  // Missing in the types of `pg`.
  return (client as { processID?: number | null }).processID ?? null;
}

const endThem = `
  SELECT pid, ${backendStart} AS started, coalesce(wait_event = 'SyncRep', false) AS unconfirmed,
    CASE WHEN wait_event_type = 'Client' THEN pg_terminate_backend(pid) ELSE false END AS ended
  FROM pg_stat_activity
  WHERE (pid, ${backendStart}) IN (SELECT * FROM unnest($1::integer[], $2::text[]))
    AND datname = current_database() AND application_name = '${applicationName}'`;

export class AbandonedConnections {
  #backends: readonly Backend[] = [];

  add(client: Client): void {
    const pid = pidOf(client);
    const started = startOf.get(client);
    if (pid !== null && started !== undefined) this.#backends = [...this.#backends, { pid, started }];
  }

  /** Resolves when none of them is working any more. Rejects with a CallError. */
  async end(ask: Ask): Promise<void> {
    if (this.#backends.length === 0) return;
    const atWork = (await this.#found(ask)).filter(({ ended }) => !ended);
    this.#backends = atWork;
    if (atWork.length === 0) return;
    const why = atWork.some(({ unconfirmed }) => unconfirmed)
      ? 'no synchronous standby has confirmed an earlier statement yet'
      : 'it is still at work on an earlier statement';
    throw new CallError(new Error(why), 'no');
  }

  async #found(ask: Ask): Promise<readonly Found[]> {
    try {
      const pids = this.#backends.map(({ pid }) => pid);
      return await ask<Found>(endThem, [pids, this.#backends.map(({ started }) => started)]);
    } catch (error) {
      // Without the right to read the view, continues as if there were none.
      if (isRefusal(error instanceof CallError ? error.reason : error)) return [];
      throw error;
    }
  }
}
