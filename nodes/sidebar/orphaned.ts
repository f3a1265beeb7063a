// Orphaned queues, on disk and in the databases that running accounts name: their list, and what an operator does with one.
//
// Databases are queried only while the tab is open, and at most every half a minute. The tab shows the last answer, or
// nothing without an answer.

import { hostname } from 'node:os';
import { basename } from 'node:path';
import { engineKey, moveAwayShared, type Registry } from '../../src/delivery/index';
import { erase, lookAt, moveAway, type Moved, purge, storeOf, type TakeMoved } from '../../src/queue/index';
import {
  type DatabasePlace,
  type DatabaseQueues,
  type OrphanedSharedQueue,
  schemaOf,
} from '../../src/queue-postgres/index';
import { databaseName, sharedQueueKey } from '../account/connection/database';
import type { OrphanedQueues, ShownOrphaned } from '../account/queue/orphaned-queues';
import { troubleOf, type Trouble } from '../account/queue/trouble';

/** A queue, file or database that was not reached, or only partly. */
export type Missed = Trouble & Readonly<Record<string, unknown>>;

/** An orphaned queue that no engine has open. Its calls reject with QueueErrors. */
export interface FreeQueue {
  /** For the log. */
  readonly title: string;
  readonly origin: string;
  readonly waiting: number;
  /** Resolves to the number of entries that were pending. */
  purge(): Promise<number>;
  /** As `moveAway`. */
  move(account: string, take: TakeMoved): Promise<Moved>;
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

export class Orphaned {
  /** By the identity of the way. */
  private readonly looks = new Map<string, Look>();

  constructor(
    private readonly engines: Pick<Registry, 'list' | 'closeIdle'>,
    private readonly files: OrphanedQueues,
    /** By their identity: databases that accounts named before, and left entries in. */
    private readonly before = new Map<string, DatabaseQueues>(),
    private readonly monoMs: () => number = () => performance.now(),
  ) {}

  /** Those with entries, and those that cannot be read; queries databases again if the last answer is old. */
  list(): readonly ShownOrphaned[] {
    const ways = this.ways();
    for (const identity of this.looks.keys()) if (!ways.has(identity)) this.looks.delete(identity);
    // Two users of a database may see the same queue.
    const shared = new Map<string, ShownOrphaned>();
    for (const [identity, way] of ways) {
      const { found, problem } = this.lookSometimes(identity, way.queues);
      const { place } = way;
      for (const queue of this.unused(place, found))
        if (queue.waiting > 0) add(shared, shownQueue(place, queue));
      if (problem !== null) add(shared, shownDatabase(place, problem));
    }
    return [...this.files.list(), ...shared.values()];
  }

  /** An action has changed a queue. */
  lookAgain(): void {
    this.files.lookAgain();
    for (const look of this.looks.values()) look.atMs = -Infinity;
  }

  /**
   * An engine without an account releases it at once, instead of some seconds later. Null if it is no orphaned queue:
   * keys come from a browser.
   */
  async free(key: unknown): Promise<FreeQueue | null> {
    return isShared(key) ? this.freeShared(key) : this.freeFile(key);
  }

  /** Removes a user from all of them, whether listed or not. Never rejects. */
  async erase(
    userKeys: readonly string[],
  ): Promise<{ readonly entries: number; readonly problems: readonly Missed[] }> {
    let entries = 0;
    const problems: Missed[] = [];
    for (const path of this.files.paths()) {
      try {
        entries += await erase(path, this.files.secrets(), userKeys);
      } catch (error) {
        problems.push({ ...troubleOf(error), file: basename(path) });
      }
    }
    for (const { place, queues } of this.ways().values()) {
      try {
        for (const { schema } of this.unused(place, await queues.list()))
          entries += await queues.erase(schema, userKeys);
      } catch (error) {
        problems.push({ ...troubleOf(error, 'database'), ...place });
      }
    }
    this.lookAgain();
    return { entries, problems };
  }

  private async freeFile(file: unknown): Promise<FreeQueue | null> {
    const held = this.files.heldBy(file);
    if (held !== null) await this.engines.closeIdle(held.key);
    const path = this.files.pathOf(file);
    if (path === null) return null;
    const listed = this.files.list().find(({ key }) => key === file);
    return {
      title: `queue file ${path}`,
      origin: listed?.origin ?? '',
      waiting: listed?.waiting ?? 0,
      purge: () => purge(path),
      move: (account, take) => moveAway(storeOf(path, this.files.secrets()), account, take),
    };
  }

  private async freeShared(key: string): Promise<FreeQueue | null> {
    const used = await this.find(key);
    if (used === null) return null;
    await this.engines.closeIdle(engineKey(used.queue));
    const found = await this.find(key);
    if (found === null || this.ours(found.place).has(found.queue.schema)) return null;
    const { queue, queues } = found;
    const buffer = this.files.keptFor(queue);
    return {
      title: `shared queue ${queue.schema}`,
      origin: queue.origin,
      waiting: queue.waiting + (buffer === null ? 0 : lookAt(buffer).waiting),
      purge: async () => (await queues.purge(queue.schema)) + (buffer === null ? 0 : await purge(buffer)),
      move: (account, take) =>
        moveAwayShared(
          queues.logOf(queue),
          buffer === null ? null : storeOf(buffer, []),
          hostname(),
          account,
          take,
        ),
    };
  }

  /** As its database has it now, used or not. */
  private async find(key: string): Promise<(Way & { readonly queue: OrphanedSharedQueue }) | null> {
    for (const way of this.ways().values()) {
      const { place, queues } = way;
      if (!key.startsWith(`${databaseName(place)} `)) continue;
      const queue = (await queues.list()).find(({ schema }) => sharedQueueKey(place, schema) === key);
      if (queue !== undefined) return { ...way, queue };
    }
    return null;
  }

  private ways(): ReadonlyMap<string, Way> {
    const all = new Map(this.before);
    for (const { database } of this.engines.list())
      if (database !== null) all.set(database.identity, database.queues);
    // The queue's own card says what is wrong with its URL.
    return new Map(
      [...all].flatMap(([identity, queues]) =>
        queues.place === null ? [] : [[identity, { place: queues.place, queues }] as const],
      ),
    );
  }

  private lookSometimes(identity: string, queues: DatabaseQueues): Look {
    const nowMs = this.monoMs();
    const look = this.looks.get(identity) ?? { atMs: -Infinity, under: false, found: [], problem: null };
    this.looks.set(identity, look);
    if (look.under || nowMs < look.atMs + lookEveryMs) return look;
    // The tab was closed in the meantime: the old result may be outdated.
    if (nowMs >= look.atMs + 2 * lookEveryMs && look.atMs !== -Infinity)
      Object.assign(look, { found: [], problem: null });
    Object.assign(look, { atMs: nowMs, under: true });
    void this.lookAt(look, identity, queues);
    return look;
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

  /** Without those that any process uses. */
  private unused(
    place: DatabasePlace,
    queues: readonly OrphanedSharedQueue[],
  ): readonly OrphanedSharedQueue[] {
    const ours = this.ours(place);
    return queues.filter(({ schema, usedBy }) => usedBy.length === 0 && !ours.has(schema));
  }

  /** The schemas that this process uses. */
  private ours(place: DatabasePlace): ReadonlySet<string> {
    const isThere = (its: DatabasePlace | null | undefined): boolean =>
      its !== null && its !== undefined && databaseName(its) === databaseName(place);
    return new Set(
      this.engines
        .list()
        .filter(({ database }) => isThere(database?.queues.place))
        .map(schemaOf),
    );
  }
}

/** A file's name has no slash. */
export function isShared(key: unknown): key is string {
  return typeof key === 'string' && key.includes('/');
}

function add(all: Map<string, ShownOrphaned>, shown: ShownOrphaned): void {
  if (!all.has(shown.key)) all.set(shown.key, shown);
}

function shownQueue(place: DatabasePlace, queue: OrphanedSharedQueue): ShownOrphaned {
  const { schema, origin, member, waiting, oldestAppendedWallMs, accounts } = queue;
  const its = { origin, member, waiting, oldestAppendedWallMs, accounts };
  return { key: sharedQueueKey(place, schema), kind: 'shared', ...place, ...its, problem: null };
}

function shownDatabase(place: DatabasePlace, problem: Trouble): ShownOrphaned {
  const none = { origin: '', member: '', waiting: 0, oldestAppendedWallMs: null, accounts: [] };
  return { key: databaseName(place), kind: 'database', ...place, ...none, problem };
}
