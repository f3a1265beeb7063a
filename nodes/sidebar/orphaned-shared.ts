// Orphaned shared queues, in the databases that running accounts name.
//
// Databases are queried only while the tab is open, and at most every half a minute. The tab shows the last answer, or
// nothing without an answer.

import type { EngineInfo } from '../../src/delivery/index';
import {
  type DatabasePlace,
  type DatabaseQueues,
  type OrphanedSharedQueue,
  schemaOf,
} from '../../src/queue-postgres/index';
import { databaseName, sharedQueueKey } from '../account/database';
import { troubleOf, type Trouble } from '../account/trouble';

export type ShownOrphanedShared =
  | (DatabasePlace & {
      readonly kind: 'queue';
      /** Names it in every call. */
      readonly key: string;
      readonly origin: string;
      readonly member: string;
      readonly waiting: number;
      /** Epoch ms by the database's clock; null without queued entries. */
      readonly oldestTakenWallMs: number | null;
      /** Node ids of the accounts whose entries they are. */
      readonly accounts: readonly string[];
    })
  /** The database could not be read. */
  | (DatabasePlace & { readonly kind: 'database'; readonly problem: Trouble });

/** An orphaned queue, with its database. */
export interface FoundShared {
  readonly key: string;
  readonly queue: OrphanedSharedQueue;
  readonly queues: DatabaseQueues;
}

/** A database and a user: another user may see other queues. */
interface Way {
  readonly place: DatabasePlace;
  readonly queues: DatabaseQueues;
}

interface Look {
  atMs: number;
  under: boolean;
  found: readonly OrphanedSharedQueue[];
  problem: Trouble | null;
}

const lookEveryMs = 30_000;

export class OrphanedShared {
  /** By the identity of the way. */
  private readonly looks = new Map<string, Look>();

  constructor(
    private readonly engines: () => readonly EngineInfo[],
    private readonly monoMs: () => number = () => performance.now(),
    /** By their identity: those that accounts named before, and left entries in. */
    private readonly before = new Map<string, DatabaseQueues>(),
  ) {}

  /** Queues with entries from the last query; queries again if that is long ago. */
  list(): readonly ShownOrphanedShared[] {
    const ways = this.ways();
    for (const identity of this.looks.keys()) if (!ways.has(identity)) this.looks.delete(identity);
    for (const [identity, way] of ways) this.lookSometimes(identity, way);
    const queues = this.found(ways).filter(({ queue }) => queue.waiting > 0);
    const problems = new Map<string, ShownOrphanedShared>();
    for (const [identity, { place }] of ways) {
      const problem = this.looks.get(identity)?.problem ?? null;
      if (problem !== null) problems.set(databaseName(place), { kind: 'database', ...place, problem });
    }
    return [...queues.map(shown), ...problems.values()];
  }

  /** An action has changed a queue. */
  lookAgain(): void {
    for (const look of this.looks.values()) look.atMs = -Infinity;
  }

  /** The present state of a queue, used or not; null if there is none: keys come from a browser. */
  async look(key: unknown): Promise<FoundShared | null> {
    for (const { place, queues } of this.ways().values()) {
      if (typeof key !== 'string' || !key.startsWith(`${databaseName(place)} `)) continue;
      const queue = (await queues.list()).find((one) => sharedQueueKey(place, one.schema) === key);
      if (queue !== undefined) return { key, queue, queues };
    }
    return null;
  }

  /** Whether an account of this process uses it, or did some seconds ago. */
  isOurs({ queue, queues }: FoundShared): boolean {
    return this.ours(queues.place!).has(queue.schema);
  }

  /** Removes a user from all of them, whether listed or not. Never rejects. */
  async erase(userKeys: readonly string[]): Promise<{
    readonly entries: number;
    readonly problems: readonly (Trouble & DatabasePlace)[];
  }> {
    const ways = [...this.ways().values()];
    const problems: (Trouble & DatabasePlace)[] = [];
    let entries = 0;
    for (const { place, queues } of ways) {
      try {
        for (const queue of this.left(place, await queues.list()))
          entries += await queues.erase(queue.schema, userKeys);
      } catch (error) {
        problems.push({ ...troubleOf(error, 'database'), ...place });
      }
    }
    this.lookAgain();
    return { entries, problems };
  }

  private ways(): ReadonlyMap<string, Way> {
    const ways = new Map<string, Way>();
    const add = (identity: string, queues: DatabaseQueues): void => {
      // The queue's own card says what is wrong with its URL.
      if (queues.place !== null) ways.set(identity, { place: queues.place, queues });
    };
    for (const [identity, queues] of this.before) add(identity, queues);
    for (const { database } of this.engines()) if (database !== null) add(database.identity, database.queues);
    return ways;
  }

  private lookSometimes(identity: string, { queues }: Way): void {
    const nowMs = this.monoMs();
    let look = this.looks.get(identity);
    if (look === undefined) {
      look = { atMs: -Infinity, under: false, found: [], problem: null };
      this.looks.set(identity, look);
    }
    if (look.under || nowMs < look.atMs + lookEveryMs) return;
    // The tab was closed in the meantime: the old result may be outdated.
    if (nowMs >= look.atMs + 2 * lookEveryMs && look.atMs !== -Infinity)
      Object.assign(look, { found: [], problem: null });
    Object.assign(look, { atMs: nowMs, under: true });
    void this.lookAt(look, identity, queues);
  }

  private async lookAt(look: Look, identity: string, queues: DatabaseQueues): Promise<void> {
    try {
      const found = await queues.list();
      Object.assign(look, { found, problem: null });
      if (found.every(({ waiting }) => waiting === 0)) this.before.delete(identity);
    } catch (error) {
      Object.assign(look, { found: [], problem: troubleOf(error, 'database') });
    } finally {
      look.under = false;
    }
  }

  private found(ways: ReadonlyMap<string, Way>): readonly FoundShared[] {
    const byKey = new Map<string, FoundShared>();
    for (const [identity, { place, queues }] of ways)
      for (const queue of this.left(place, this.looks.get(identity)?.found ?? [])) {
        const key = sharedQueueKey(place, queue.schema);
        if (!byKey.has(key)) byKey.set(key, { key, queue, queues });
      }
    return [...byKey.values()];
  }

  /** Without those that any process uses. */
  private left(place: DatabasePlace, queues: readonly OrphanedSharedQueue[]): readonly OrphanedSharedQueue[] {
    const ours = this.ours(place);
    return queues.filter(({ schema, usedBy }) => usedBy.length === 0 && !ours.has(schema));
  }

  /** The schemas that this process uses. */
  private ours(place: DatabasePlace): ReadonlySet<string> {
    const ours = new Set<string>();
    for (const { database, origin, member } of this.engines()) {
      const its = database?.queues.place ?? null;
      if (its !== null && databaseName(its) === databaseName(place)) ours.add(schemaOf({ origin, member }));
    }
    return ours;
  }
}

function shown({ key, queue, queues }: FoundShared): ShownOrphanedShared {
  const { origin, member, waiting, oldestTakenWallMs, accounts } = queue;
  const its = { origin, member, waiting, oldestTakenWallMs, accounts };
  return { kind: 'queue', key, ...its, ...queues.place! };
}
