// Actions of the tab: pause, resume, flush, retry, purge, export, erase. Without HTTP; none of them rejects.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { readErasedUser, type Issue } from '../../src/entry/index';
import {
  DeletedPartly,
  type Deleted,
  engineKey,
  type EngineInfo,
  type Registry,
  moveAwayShared,
  type Rejected,
} from '../../src/delivery/index';
import { erase, lookAt, moveAway, purge, storeOf, type Moved, type Row } from '../../src/queue/index';
import { forgetLastMessagesOf } from '../segment-builder/builder-node';
import type { OrphanedQueues } from '../account/orphaned-queues';
import type { FoundShared, OrphanedShared } from './orphaned-shared';
import { troubleOf, type Trouble } from '../account/trouble';

/** What a route answers; `code` is stable, its words are in `sidebar.json`. */
export interface Answer {
  readonly status: number;
  readonly body: object;
}

const simple = ['pause', 'resume', 'flush', 'retry'] as const;
type Simple = (typeof simple)[number];
export type Action = Simple | 'purge' | 'purgeOrphaned' | 'moveOrphaned' | 'erase';
export const actions: readonly Action[] = [...simple, 'purge', 'purgeOrphaned', 'moveOrphaned', 'erase'];

/** A purge needs a confirmation: the second request carries the key from the first. */
const confirmMs = 60_000;
/** Longest wait of a request for its action; the action then continues without it. */
const waitMs = 20_000;

/** A queue, file or database that was not reached, or only partly. */
type Missed = Trouble & Readonly<Record<string, unknown>>;

interface Confirmation {
  readonly subject: string;
  readonly untilMs: number;
}

export class Actions {
  private readonly confirmations = new Map<string, Confirmation>();

  constructor(
    private readonly engines: Registry,
    private readonly left: OrphanedQueues,
    private readonly orphanedShared: OrphanedShared,
    /** Who did what, for Node-RED's log; names no user. */
    private readonly log: (text: string) => void,
    private readonly monoMs: () => number = () => performance.now(),
  ) {}

  async act(action: Action, body: unknown): Promise<Answer> {
    const asked = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    try {
      if (action === 'erase') return await this.erase(asked);
      if (action === 'purgeOrphaned') return await this.purgeOrphaned(asked);
      if (action === 'moveOrphaned') return await this.moveOrphaned(asked);
      const info = this.find(asked.queue);
      if (info === undefined) return answer(404, 'noQueue');
      if (action === 'purge') return await this.purge(info, asked);
      this.simple(action, info);
      return answer(200, 'done');
    } catch (error) {
      return answer(500, 'failed', troubleOf(error));
    }
  }

  private find(key: unknown): EngineInfo | undefined {
    return this.engines.list().find((info) => info.key === key);
  }

  private simple(action: Simple, { key, engine }: EngineInfo): void {
    if (action === 'pause') engine.pause();
    else if (action === 'resume') engine.resume();
    else if (action === 'flush') engine.flush();
    else this.engines.retry(key);
  }

  // ── Purge ───────────────────────────────────────────────────────────────────────────────────────────────────

  private async purge(info: EngineInfo, asked: Record<string, unknown>): Promise<Answer> {
    const { key, engine, member } = info;
    if (!this.confirmed(key, asked.confirm)) return this.askAgain(key, engine.counters.waiting);
    const deleted = await inTime(engine.purge().catch((error: unknown) => missedOf(info, error)));
    const entries = deleted?.entries ?? 0;
    this.log(`The queue of member ${member} was purged: ${entries} entries.`);
    if (deleted === null) return answer(202, 'goesOn');
    return 'trouble' in deleted ? answer(207, 'purgedPartly', deleted) : answer(200, 'purged', deleted);
  }

  private async purgeOrphaned(asked: Record<string, unknown>): Promise<Answer> {
    if (asked.queue !== undefined)
      return this.ofShared(asked.queue, (shared) => this.purgeOrphanedShared(shared, asked));
    const path = await this.freed(asked.file);
    if (path === null) return answer(404, 'noQueue');
    const waiting = this.left.list().find(({ file }) => file === asked.file)?.waiting ?? 0;
    if (!this.confirmed(path, asked.confirm)) return this.askAgain(path, waiting);
    const entries = await purge(path);
    this.left.lookAgain();
    this.log(`The queue file ${path}, which no account uses, was purged: ${entries} entries.`);
    return answer(200, 'purged', { entries, inFlight: 0 });
  }

  /** An engine without an account releases its file at once, instead of some seconds later. */
  private async freed(file: unknown): Promise<string | null> {
    const held = this.left.heldBy(file);
    if (held !== null) await this.engines.closeIdle(held.key);
    return this.left.pathOf(file);
  }

  /** Moves the account's entries to its present queue, as far as each user's order can be kept. */
  private async moveOrphaned({ file, queue, account }: Record<string, unknown>): Promise<Answer> {
    if (typeof account !== 'string') return answer(404, 'noQueue');
    // Node-RED answers a deploy before it has started the nodes.
    await this.engines.started(account, waitMs);
    if (queue !== undefined) return this.ofShared(queue, (shared) => this.moveLeftShared(shared, account));
    const path = await this.freed(file);
    if (path === null) return answer(404, 'noQueue');
    const origin = this.left.list().find((left) => left.file === file)?.origin;
    return this.moveTo(account, origin, `queue file ${path}`, (take) =>
      moveAway(storeOf(path, this.left.secrets()), account, take),
    );
  }

  private moveLeftShared({ queue, queues }: FoundShared, account: string): Promise<Answer> {
    return this.moveTo(account, queue.origin, `shared queue ${queue.schema}`, (take) => {
      const path = this.left.keptFor(queue);
      const kept = path === null ? null : storeOf(path, []);
      return moveAwayShared(queues.logOf(queue), kept, hostname(), account, take);
    });
  }

  private async moveTo(
    account: string,
    origin: string | undefined,
    from: string,
    move: (take: (rows: readonly Row[]) => Promise<readonly number[]>) => Promise<Moved>,
  ): Promise<Answer> {
    if (origin === 'sandbox') return answer(409, 'sandboxStays');
    if ((await this.engines.takeMoved(account, [])) === null) return answer(409, 'noTarget');
    const result = await move(async (rows) => (await this.engines.takeMoved(account, rows)) ?? []);
    this.left.lookAgain();
    this.log(`Of the ${from}, ${result.moved} entries were moved to another queue.`);
    return answer(200, 'moved', result);
  }

  /** Actions on an orphaned shared queue. */
  private async ofShared(key: unknown, act: (shared: FoundShared) => Promise<Answer>): Promise<Answer> {
    try {
      const used = await this.orphanedShared.look(key);
      if (used === null) return answer(404, 'noQueue');
      await this.engines.closeIdle(engineKey(used.queue));
      const shared = await this.orphanedShared.look(key);
      return shared === null || this.orphanedShared.isOurs(shared)
        ? answer(404, 'noQueue')
        : await act(shared);
    } catch (error) {
      return answer(500, 'failed', troubleOf(error, 'database'));
    } finally {
      this.orphanedShared.lookAgain();
    }
  }

  private async purgeOrphanedShared(
    { key, queue, queues }: FoundShared,
    asked: Record<string, unknown>,
  ): Promise<Answer> {
    const kept = this.left.keptFor(queue);
    if (!this.confirmed(key, asked.confirm))
      return this.askAgain(key, queue.waiting + (kept === null ? 0 : lookAt(kept).waiting));
    const purging = queues
      .purge(queue.schema)
      .then(async (entries) => entries + (kept === null ? 0 : await purge(kept)));
    const entries = await inTime(purging);
    if (entries === null) return answer(202, 'goesOn');
    this.left.lookAgain();
    this.log(`The shared queue ${queue.schema}, which nobody uses, was purged: ${entries} entries.`);
    return answer(200, 'purged', { entries, inFlight: 0 });
  }

  private confirmed(subject: string, token: unknown): boolean {
    if (typeof token !== 'string') return false;
    const found = this.confirmations.get(token);
    this.confirmations.delete(token);
    return found?.subject === subject && found.untilMs >= this.monoMs();
  }

  private askAgain(subject: string, waiting: number): Answer {
    const nowMs = this.monoMs();
    for (const [token, { untilMs }] of this.confirmations)
      if (untilMs < nowMs) this.confirmations.delete(token);
    const confirm = randomBytes(16).toString('hex');
    this.confirmations.set(confirm, { subject, untilMs: nowMs + confirmMs });
    return answer(409, 'confirm', { confirm, waiting });
  }

  // ── Erase ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Erases from every running queue, every orphaned file, and orphaned shared queues. */
  private async erase({ user, domain }: Record<string, unknown>): Promise<Answer> {
    const read = readErasedUser(user, domain);
    if (!read.ok) return answer(400, refusalOf(read.issue));
    const { id, keys } = read;
    forgetLastMessagesOf(id);
    const running = this.engines
      .list()
      .map((info) => info.engine.erase(keys, id).catch((error: unknown) => missedOf(info, error)));
    const [ofRunning, ofFiles, ofShared] = await Promise.all([
      inTime(Promise.all(running)),
      this.eraseFromFiles(keys),
      inTime(this.orphanedShared.erase(keys)),
    ]);
    this.log('A user was erased from every queue that could be reached.');
    if (ofRunning === null || ofShared === null) return answer(202, 'goesOn');
    const sum = (figure: (one: Deleted) => number): number =>
      ofRunning.reduce((total, one) => total + figure(one), 0);
    const entries = sum((one) => one.entries) + ofFiles.entries + ofShared.entries;
    const inFlight = sum((one) => one.inFlight);
    const ofEngines = ofRunning.filter((one) => 'trouble' in one);
    const [missed] = [...ofEngines, ...ofFiles.problems, ...ofShared.problems];
    return missed === undefined
      ? answer(200, 'erased', { entries, inFlight })
      : answer(207, 'erasedPartly', { ...missed, entries, inFlight });
  }

  private async eraseFromFiles(
    keys: readonly string[],
  ): Promise<{ readonly entries: number; readonly problems: readonly Missed[] }> {
    let entries = 0;
    const problems: Missed[] = [];
    for (const path of this.left.paths()) {
      try {
        entries += await erase(path, this.left.secrets(), keys);
      } catch (error) {
        problems.push({ ...troubleOf(error), file: basename(path) });
      }
    }
    this.left.lookAgain();
    return { entries, problems };
  }

  // ── Export ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The last rejected entries of a queue, oldest first; null when there is no such queue. */
  rejected(key: unknown): readonly Rejected[] | null {
    return this.find(key)?.engine.monitor.rejections.last() ?? null;
  }
}

function refusalOf({ path, code }: Issue): string {
  if (path !== 'domain') return 'userMissing';
  return code === 'domain_empty' ? 'domainMissing' : 'domainInvalid';
}

/** Null if the action is not done in time; it then continues. */
async function inTime<T>(work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), waitMs).unref();
  });
  // A failure after that time is not reported.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function answer(status: number, code: string, params: object = {}): Answer {
  return { status, body: { code, ...params } };
}

/** The discarded entries of a partly reached queue, and the unreached places. */
function missedOf({ queue, origin, member }: EngineInfo, error: unknown): Deleted & Missed {
  const { deleted, missed, cause } =
    error instanceof DeletedPartly
      ? error
      : { deleted: { entries: 0, inFlight: 0 }, missed: 'queue', cause: error };
  const trouble = troubleOf(cause, queue === 'shared' && missed !== 'kept' ? 'database' : 'file');
  return { ...deleted, ...trouble, missed, origin, member };
}
