// Segment look-ups of an out node: segments of the builders before it on deploy and every hour, segments of entries at
// their first use.

import type { NodeAPI } from 'node-red';
import { type CheckedEntry, fixedSegments, type FixedSegment, shortenThrown } from '../../src/entry/index';
import { backoffMs, type MemberQueue } from '../../src/delivery/index';
import {
  SeenSegments,
  checkSegments,
  isWarning,
  recentlySeen,
  type SegmentFinding,
  type SegmentWarning,
} from '../../src/usage/index';
import { readWithToken } from '../../src/service/index';
import type { AccountNode } from '../account/account-api';
import { deployedFlows } from '../shared/flow-graph';

/** Delay after the deploy, so that other work of the deploy comes first. */
const firstAfterMs = 500;
const everyMs = 3_600_000;
/** Longest delay after the first failed look-up; it doubles with each further failure. */
const againWithinMs = 2_000;
const againAtMostMs = 600_000;
/** Delay that gathers segments for one look-up. */
const collectMs = 200;
/** Pause between look-ups of new segments, so that forms also get their reads of a minute. */
const betweenMs = 5_000;
/** Longest wait of an add for the first look-up of its segment. */
const mostUnknownMs = 30_000;

export interface SegmentWatchHost {
  readonly RED: Pick<NodeAPI, 'nodes' | 'events'>;
  readonly node: string;
  /** The place of the out node: see flow-graph.ts. */
  readonly out: string;
  readonly account: Pick<AccountNode, 'id' | 'member' | 'connection'>;
  readonly engine: Pick<MemberQueue, 'meta' | 'holdSegments'>;
  /** Whether adds to new segments should wait. */
  readonly holds: boolean;
  /** Called when the findings have changed. */
  readonly changed: (findings: readonly SegmentFinding[]) => void;
  /** The reason of a look that fails because the login does not work. */
  readonly noLogin: string;
  /** Called with the reason of the first failed look-up, or with null after a success. */
  readonly failed: (reason: string | null) => void;
}

/** Watches of this process by the out node's id, for views of their findings. */
export const segmentWatches = new Map<string, SegmentWatch>();

/** Asks the engine to hold adds to segments without a look-up. */
function unknownOwner(node: string): string {
  return `${node} unknown`;
}

/** Ends all holds of this node. */
export function letGo(engine: Pick<MemberQueue, 'holdSegments'>, node: string): void {
  for (const owner of [node, unknownOwner(node)]) engine.holdSegments(owner, new Map());
}

export class SegmentWatch {
  /** The reason why the last look-up failed, or null. */
  failure: string | null = null;
  private failures = 0;
  private found: readonly SegmentFinding[] = [];
  /** Whether all were looked up once. */
  private knows = false;
  private readonly seen = new SeenSegments();
  /** Until when (epoch ms) adds wait for the first look at a segment, by the key of its blocks. */
  private readonly unknown = new Map<string, number>();
  private timer: NodeJS.Timeout | null = null;
  private soon: NodeJS.Timeout | null = null;
  private lookedAtMs = -Infinity;
  /** The running look-up; one at a time. */
  private looking: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(private readonly host: SegmentWatchHost) {}

  /** The account whose entries these segments are for, by node id. */
  get account(): string {
    return this.host.account.id;
  }

  /** Whether adds to new segments wait. */
  get holds(): boolean {
    return this.host.holds;
  }

  start(): void {
    segmentWatches.set(this.host.node, this);
    this.lookIn(firstAfterMs);
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.soon !== null) clearTimeout(this.soon);
    if (segmentWatches.get(this.host.node) === this) segmentWatches.delete(this.host.node);
  }

  /** The current findings; a warm-up ends by itself. */
  warnings(nowMs: number): readonly SegmentWarning[] {
    return this.found.filter(isWarning).filter((one) => one.kind !== 'warmUp' || one.untilMs > nowMs);
  }

  /** Entries have come, and are not in the queue yet. Where adds to new segments wait, those to unknown ones do, too. */
  saw(entries: readonly CheckedEntry[]): void {
    const untilMs = Date.now() + mostUnknownMs;
    let fresh = false;
    for (const { blocks } of entries) {
      for (const block of blocks) {
        if (!this.seen.note(block)) continue;
        fresh = true;
        if (this.holds && block.expiration !== -1) this.unknown.set(block.key, untilMs);
      }
    }
    if (!fresh) return;
    if (this.failures === 0) this.holdUnknown();
    this.lookSoon();
  }

  /** Looks up all segments. */
  private lookIn(ms: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(true), ms).unref();
  }

  /** Looks up new segments; after a failure the next look-up of all includes them. */
  private lookSoon(): void {
    if (this.stopped || this.soon !== null || this.failures > 0) return;
    const waitMs = Math.max(collectMs, this.lookedAtMs + betweenMs - performance.now());
    this.soon = setTimeout(() => {
      this.soon = null;
      this.look(false);
    }, waitMs).unref();
  }

  private look(atAll: boolean): void {
    this.looking = this.looking.then(() => (this.stopped ? undefined : this.lookNow(atAll)));
  }

  private async lookNow(atAll: boolean): Promise<void> {
    if (!atAll && this.failures > 0) return;
    let failure: string | null;
    try {
      failure = await (atAll ? this.checkAll() : this.checkDue());
    } catch (error) {
      failure = shortenThrown(error);
    }
    if (this.stopped) return;
    this.failures = failure === null ? 0 : this.failures + 1;
    const turned = (failure === null) !== (this.failure === null);
    this.failure = failure;
    if (turned) this.host.failed(failure);
    if (failure !== null) this.lookIn(backoffMs(this.failures, Math.random, againWithinMs, againAtMostMs));
    else {
      if (atAll) this.lookIn(everyMs);
      if (this.seen.anyDue) this.lookSoon();
    }
  }

  private async checkAll(): Promise<string | null> {
    const { RED, out, account } = this.host;
    const builders = deployedFlows(RED).buildersOf(out, account.id);
    const fixed = builders.flatMap(({ config }) => fixedSegments(config));
    const named = [...fixed, ...this.seen.inUse()];
    const before = await this.seenBefore(named);
    return this.check([...named, ...before], (found) => {
      this.knows = true;
      this.seen.allLookedUp(named);
      const keys = new Set(before.map(({ key }) => key));
      return found.filter(({ key, kind }) => kind === 'warmUp' || !keys.has(key));
    });
  }

  /** What waits in the queue since before a deploy or a restart may be for segments that are new, and no entry names them now. */
  private async seenBefore(named: readonly FixedSegment[]): Promise<FixedSegment[]> {
    if (!this.holds || this.knows) return [];
    const keys = new Set(named.map(({ key }) => key));
    const recent = await recentlySeen(this.host.engine.meta, Date.now());
    return recent.filter(({ key }) => !keys.has(key));
  }

  private checkDue(): Promise<string | null> {
    const wanted = this.seen.due();
    return this.check(wanted, (found) => {
      this.seen.lookedUp(wanted);
      const keys = new Set(wanted.map(({ key }) => key));
      return [...this.found.filter(({ key }) => !keys.has(key)), ...found];
    });
  }

  /** Null, or the reason of the failure. `known`: all findings so far. */
  private async check(
    wanted: readonly FixedSegment[],
    known: (found: readonly SegmentFinding[]) => readonly SegmentFinding[],
  ): Promise<string | null> {
    const { account, engine } = this.host;
    const connection = account.connection();
    if (connection === null) return null;
    if (wanted.length > 0) {
      this.lookedAtMs = performance.now();
      // The engine logs the reason.
      if ((await connection.keeper.token()).kind !== 'token') return this.host.noLogin;
    }
    const outcome = await checkSegments(wanted, {
      read: (query) => readWithToken(connection.keeper, (token) => connection.client.segments(query, token)),
      store: engine.meta,
      member: Number(account.member),
      nowMs: Date.now(),
    });
    if (this.stopped) return null;
    if (outcome.kind !== 'read') return outcome.message;
    this.take(known(outcome.value), wanted);
    return null;
  }

  private take(found: readonly SegmentFinding[], looked: readonly FixedSegment[]): void {
    const before = JSON.stringify(this.found);
    this.found = found;
    this.hold();
    for (const { key } of looked) this.unknown.delete(key);
    this.holdUnknown();
    if (JSON.stringify(found) !== before) this.host.changed(found);
  }

  private hold(): void {
    if (!this.holds) return;
    const untils = new Map<string, number>();
    for (const warning of this.found) {
      if (warning.kind !== 'warmUp') continue;
      for (const key of warning.keys) untils.set(key, warning.untilMs);
    }
    this.host.engine.holdSegments(this.host.node, untils);
  }

  /** Beside those that are new: what an earlier process held stays held until all were looked up. */
  private holdUnknown(): void {
    if (!this.holds) return;
    const nowMs = Date.now();
    for (const [key, untilMs] of this.unknown) if (untilMs <= nowMs) this.unknown.delete(key);
    this.host.engine.holdSegments(unknownOwner(this.host.node), new Map(this.unknown));
  }
}
