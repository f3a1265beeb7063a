// Actions of the tab: pause, resume, flush, retry, purge, export, erase, lift a suppression, and those of synced segments. Without HTTP; none of them rejects.

import { readErasedUser, type Issue } from '../../src/entry/index';
import {
  DeletedPartly,
  type Erased,
  type EngineInfo,
  type Registry,
  type Rejected,
} from '../../src/delivery/index';
import { NothingRefused } from '../../src/sync/index';
import { syncOf } from '../audience-sync/synced-segments';
import { forgetLastMessagesOf } from '../segment-builder/builder-node';
import { troubleOf } from '../account/queue/trouble';
import { Tickets } from './tickets';
import { isShared, type FreeQueue, type Missed, type Orphaned } from './orphaned';

/** What a route answers; `code` is stable, its words are in `sidebar.json`. */
export interface Answer {
  readonly status: number;
  readonly body: object;
}

const simple = ['pause', 'resume', 'flush', 'retry'] as const;
type Simple = (typeof simple)[number];
const ofSync = ['previewSync', 'forceSync'] as const;
type OfSync = (typeof ofSync)[number];
export type Action = Simple | OfSync | 'purge' | 'purgeOrphaned' | 'moveOrphaned' | 'erase' | 'lift';
export const actions: readonly Action[] = [
  ...simple,
  ...ofSync,
  'purge',
  'purgeOrphaned',
  'moveOrphaned',
  'erase',
  'lift',
];

/** A user who was erased from a synced segment. */
export interface ShownSuppression {
  readonly queue: string;
  readonly member: string;
  readonly hash: string;
  readonly sinceWallMs: number;
}

/** A purge needs a confirmation: the second request carries the key from the first. */
const confirmMs = 60_000;
/** Longest wait of a request for its action; the action then continues without it. */
const waitMs = 20_000;

export class Actions {
  private readonly confirmations: Tickets;

  constructor(
    private readonly engines: Registry,
    private readonly orphaned: Orphaned,
    /** Who did what, for Node-RED's log; names no user. */
    private readonly log: (text: string) => void,
    monoMs?: () => number,
  ) {
    this.confirmations = new Tickets(confirmMs, monoMs);
  }

  async act(action: Action, body: unknown): Promise<Answer> {
    const asked = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    try {
      if (action === 'erase') return await this.erase(asked);
      if (action === 'lift') return await this.lift(asked);
      if (action === 'purgeOrphaned') return await this.purgeOrphaned(asked);
      if (action === 'moveOrphaned') return await this.moveOrphaned(asked);
      const info = this.find(asked.queue);
      if (info === undefined) return answer(404, 'noQueue');
      if (action === 'purge') return await this.purge(info, asked);
      if (action === 'previewSync' || action === 'forceSync')
        return await this.sync(action, info, asked.segment);
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

  private async sync(action: OfSync, { engine, member }: EngineInfo, segment: unknown): Promise<Answer> {
    const sync = syncOf(engine, segment);
    if (sync === null) return answer(404, 'noSync');
    if (action === 'previewSync') {
      await sync.preview();
      return answer(200, 'done');
    }
    try {
      await sync.force();
    } catch (error) {
      if (error instanceof NothingRefused) return answer(409, 'noRefusedRun');
      throw error;
    }
    this.log(`The refused run of segment ${sync.key} of member ${member} was accepted.`);
    return answer(200, 'done');
  }

  // ── Purge ───────────────────────────────────────────────────────────────────────────────────────────────────

  private async purge(info: EngineInfo, asked: Record<string, unknown>): Promise<Answer> {
    const { key, engine, member } = info;
    if (!this.confirmations.take(asked.confirm, key)) return this.askAgain(key, engine.counters.waiting);
    const deleted = await inTime(engine.purge().catch((error: unknown) => missedOf(info, error)));
    const entries = deleted?.entries ?? 0;
    this.log(`The queue of member ${member} was purged: ${entries} entries.`);
    if (deleted === null) return answer(202, 'goesOn');
    return 'trouble' in deleted ? answer(207, 'purgedPartly', deleted) : answer(200, 'purged', deleted);
  }

  private purgeOrphaned({ queue: key, confirm }: Record<string, unknown>): Promise<Answer> {
    return this.onOrphaned(key, async (queue) => {
      if (!this.confirmations.take(confirm, String(key))) return this.askAgain(String(key), queue.waiting);
      const entries = await inTime(queue.purge());
      if (entries === null) return answer(202, 'goesOn');
      this.log(`The ${queue.title}, which no account uses, was purged: ${entries} entries.`);
      return answer(200, 'purged', { entries, inFlight: 0 });
    });
  }

  /** Moves the account's entries to its present queue, as far as each user's order can be kept. */
  private async moveOrphaned({ queue: key, account }: Record<string, unknown>): Promise<Answer> {
    if (typeof account !== 'string') return answer(404, 'noQueue');
    // Node-RED answers a deploy before it has started the nodes.
    await this.engines.started(account, waitMs);
    return this.onOrphaned(key, async (queue) => {
      if (queue.origin === 'sandbox') return answer(409, 'sandboxStays');
      if ((await this.engines.takeMoved(account, [])) === null) return answer(409, 'noTarget');
      const result = await queue.move(
        account,
        async (rows) => (await this.engines.takeMoved(account, rows)) ?? { moved: [], refused: null },
      );
      this.log(`Of the ${queue.title}, ${result.moved} entries were moved to another queue.`);
      return answer(200, 'moved', result);
    });
  }

  private async onOrphaned(key: unknown, act: (queue: FreeQueue) => Promise<Answer>): Promise<Answer> {
    try {
      const queue = await this.orphaned.free(key);
      return queue === null ? answer(404, 'noQueue') : await act(queue);
    } catch (error) {
      return answer(500, 'failed', troubleOf(error, isShared(key) ? 'database' : 'file'));
    } finally {
      this.orphaned.lookAgain();
    }
  }

  private askAgain(subject: string, waiting: number): Answer {
    return answer(409, 'confirm', { confirm: this.confirmations.give(subject), waiting });
  }

  // ── Erase ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Erases from every running and every orphaned queue. */
  private async erase({ user, domain }: Record<string, unknown>): Promise<Answer> {
    const read = readErasedUser(user, domain);
    if (!read.ok) return answer(400, refusalOf(read.issue));
    const { id, keys } = read;
    forgetLastMessagesOf(id);
    const running = this.engines
      .list()
      .map((info) => info.engine.erase(keys, id).catch((error: unknown) => missedOf(info, error)));
    const [ofRunning, ofOrphaned] = await Promise.all([
      inTime(Promise.all(running)),
      inTime(this.orphaned.erase(keys)),
    ]);
    this.log('A user was erased from every queue that could be reached.');
    if (ofRunning === null || ofOrphaned === null) return answer(202, 'goesOn');
    const sum = (figure: (one: Erased) => number): number =>
      ofRunning.reduce((total, one) => total + figure(one), 0);
    const entries = sum((one) => one.entries) + ofOrphaned.entries;
    const done = { entries, inFlight: sum((one) => one.inFlight), segments: sum((one) => one.segments) };
    const [missed] = [...ofRunning.filter((one) => 'trouble' in one), ...ofOrphaned.problems];
    return missed === undefined
      ? answer(200, done.segments === 0 ? 'erased' : 'erasedSynced', done)
      : answer(207, 'erasedPartly', { ...missed, ...done });
  }

  /** Users who are suppressed in running queues; nobody can tell who they are. `isWhole`: every queue could be read. */
  async suppressions(): Promise<{ readonly found: readonly ShownSuppression[]; readonly isWhole: boolean }> {
    let isWhole = true;
    const found: ShownSuppression[] = [];
    for (const { key, member, engine } of this.durable()) {
      const its = (await engine.sync?.suppressions().catch(() => null)) ?? null;
      if (its === null) isWhole = false;
      else found.push(...its.map((one) => ({ queue: key, member, ...one })));
    }
    return { found, isWhole };
  }

  /** Only these keep members, and so suppressions. */
  private durable(): readonly EngineInfo[] {
    return this.engines.list().filter(({ engine }) => engine.durable);
  }

  /** Lifts one suppression of a queue, or those of a user in every running queue. */
  private async lift({ queue, hash, user, domain }: Record<string, unknown>): Promise<Answer> {
    if (typeof hash === 'string') {
      const info = this.find(queue);
      if (info === undefined) return answer(404, 'noQueue');
      return this.liftIn([info], (sync) => sync.lift([hash]).then(() => 1));
    }
    const read = readErasedUser(user, domain);
    if (!read.ok) return answer(400, refusalOf(read.issue));
    return this.liftIn(this.durable(), (sync) => sync.liftUser(read.keys));
  }

  /** @param lift resolves to the number of suppressions that it lifted */
  private async liftIn(
    infos: readonly EngineInfo[],
    lift: (sync: NonNullable<EngineInfo['engine']['sync']>) => Promise<number>,
  ): Promise<Answer> {
    let lifted = 0;
    let isWhole = true;
    let sender: string | null = null;
    for (const { engine } of infos) {
      const { sync, otherSender } = engine;
      if (sync !== null) lifted += await lift(sync).catch(() => ((isWhole = false), 0));
      // Only the instance that sends has the suppressions of a shared queue.
      else if (otherSender !== null) sender = otherSender;
      else isWhole = false;
    }
    if (lifted > 0) this.log('The suppression of a user was lifted.');
    if (!isWhole) return answer(409, 'liftLater');
    if (sender !== null) return answer(409, 'liftStandby', { sender });
    return lifted === 0 ? answer(404, 'notSuppressed') : answer(200, 'lifted');
  }

  // ── Export ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The last rejected entries of a queue, oldest first, or the last with this code; null when there is no such queue. */
  rejected(key: unknown, code?: unknown): readonly Rejected[] | null {
    const rejections = this.find(key)?.engine.monitor.rejections;
    if (rejections === undefined) return null;
    if (typeof code !== 'string') return rejections.last();
    const last = rejections.lastOf(code);
    return last === null ? [] : [last];
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
function missedOf({ queue, origin, member }: EngineInfo, error: unknown): Erased & Missed {
  const { deleted, missed, cause } =
    error instanceof DeletedPartly
      ? error
      : { deleted: { entries: 0, inFlight: 0 }, missed: 'queue', cause: error };
  const trouble = troubleOf(cause, queue === 'shared' && missed !== 'kept' ? 'database' : 'file');
  return { segments: 0, ...deleted, ...trouble, missed, origin, member };
}
