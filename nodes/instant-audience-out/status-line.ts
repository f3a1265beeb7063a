// What the out node's status says.

import type { Node, NodeAPI } from 'node-red';
import { systemClock } from '../../src/clock';
import type { MemberQueue } from '../../src/delivery/member-queue';
import type { EngineStats } from '../../src/delivery/engine';
import type { AccountNode } from '../account/account-api';
import { CalmStatus, looks, type Shown } from '../shared/calm-status';
import { conditionOf, short, type Condition } from '../shared/queue-state';

const everyMs = 1000;
/** How long the status tells of something that happened to a message. */
const tellForMs = 10_000;
/** How long the status tells of the last delivery. */
const deliveredForMs = 5_000;

/** `queued`: how much waits, shown behind the words; absent where the words say it, or nothing waits. */
type Line = Condition & { readonly queued?: string };

/** Those with which nothing is wrong. */
const calmKeys: ReadonlySet<string> = new Set([
  'idle',
  'idleMemory',
  'delivered',
  'working',
  'workingMemory',
  'dryRun',
  'standby',
]);

export type FollowedAccount = Pick<AccountNode, 'id' | 'warnAfterMs' | 'isSandbox'>;

interface Followed {
  readonly engine: MemberQueue;
  readonly account: string;
  readonly warnAfterMs: number;
  readonly isSandbox: boolean;
}

export class StatusLine {
  private followed: Followed | null = null;
  private interval: NodeJS.Timeout | null = null;
  private told: { readonly key: 'queuedOnly' | 'full'; readonly untilMs: number } | null = null;
  /** Entries of this node since it was idle. */
  private delivered = { entries: 0, untilMs: -Infinity };
  private readonly status: CalmStatus;

  constructor(
    private readonly RED: NodeAPI,
    node: Node,
    private readonly dryRun: boolean,
    /** What else is to be said while nothing is wrong with the delivery itself; null for nothing. */
    private readonly remark: () => string | null,
  ) {
    this.status = new CalmStatus(node);
  }

  connecting(): void {
    this.show({ look: 'waiting', key: 'connecting' });
  }

  /** Why the node cannot work: a key below `status`. */
  problem(key: string): void {
    this.show({ look: 'stopped', key });
  }

  follow(engine: MemberQueue, { id, warnAfterMs, isSandbox }: FollowedAccount): void {
    this.followed = { engine, account: id, warnAfterMs, isSandbox };
    this.refresh();
    this.interval = setInterval(() => this.refresh(), everyMs).unref();
  }

  /** Something happened to a message: told for a while. */
  tell(key: 'queuedOnly' | 'full'): void {
    this.told = { key, untilMs: performance.now() + tellForMs };
  }

  /** The service accepted entries of this node: told for a while, by the next look. */
  deliveredSome(entries: number): void {
    if (entries === 0) return;
    const nowMs = performance.now();
    const before = nowMs < this.delivered.untilMs ? this.delivered.entries : 0;
    this.delivered = { entries: before + entries, untilMs: nowMs + deliveredForMs };
  }

  refresh(): void {
    const { followed } = this;
    if (followed !== null) this.status.show(() => this.shown(this.lineOf(followed)));
  }

  stop(): void {
    if (this.interval !== null) clearInterval(this.interval);
    this.status.stop();
    this.interval = this.followed = null;
  }

  private show(line: Line): void {
    this.status.show(() => this.shown(line));
  }

  private shown({ look: own, key, params, queued }: Line): Shown {
    const remark = calmKeys.has(key) ? this.remark() : null;
    const words = this.RED._(`status.${key}`, { ...params });
    const line = queued === undefined ? words : this.RED._('status.queued', { status: words, queued });
    const look = remark === null ? own : 'waiting';
    const status = remark === null ? line : key === 'idle' ? remark : `${line} · ${remark}`;
    const text = this.followed?.isSandbox === true ? this.RED._('status.sandbox', { status }) : status;
    return { ...looks[look], text };
  }

  private lineOf({ engine, account, warnAfterMs }: Followed): Line {
    if (this.dryRun) return { look: 'idle', key: 'dryRun' };
    const stats = engine.stats();
    const { waiting } = stats.counters;
    const { state, oldestMs } = stats;
    const nowMs = performance.now();
    const isTold = (key: 'queuedOnly' | 'full'): boolean =>
      this.told?.key === key && this.told.untilMs > nowMs;
    const withQueue = (line: Condition): Line => (waiting === 0 ? line : { ...line, queued: short(waiting) });
    const full = withQueue({ look: 'stopped', key: 'full' });
    // What is kept while the database is away has its cap, too.
    if (isTold('full') && state.kind === 'apart') return full;
    const condition = conditionOf(state, engine.logins.state(account), systemClock.monoMs());
    const isCalm = condition.key === 'idle' || condition.key === 'sending' || state.kind === 'standby';
    // What is kept says how much waits here.
    if (!isCalm) return state.kind === 'apart' ? condition : withQueue(condition);
    if (isTold('full')) return full;
    if (oldestMs > warnAfterMs) {
      const minutes = Math.floor(oldestMs / 60_000);
      return withQueue({ look: 'waiting', key: 'late', params: { minutes } });
    }
    if (isTold('queuedOnly') && waiting > 0) return withQueue({ look: 'working', key: 'queuedOnly' });
    if (state.kind === 'standby') return withQueue(condition);
    if (waiting > 0) return workingLine(stats, engine.durable);
    if (nowMs < this.delivered.untilMs)
      return { look: 'idle', key: 'delivered', params: { number: short(this.delivered.entries) } };
    return { look: 'idle', key: engine.durable ? 'idle' : 'idleMemory' };
  }
}

function workingLine({ usersPerSecond: rate, counters }: EngineStats, durable: boolean): Line {
  const left = rate > 0 ? clock(counters.waiting / rate) : '…';
  const params = { queued: short(counters.waiting), rate, left };
  return { look: 'working', key: durable ? 'working' : 'workingMemory', params };
}

/** Seconds as `0:42` or `1:05:00`. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
