// Status line of the out node; the tab Audience has the details.

import type { Node, NodeAPI } from 'node-red';
import { systemClock } from '../../src/clock';
import type { MemberQueue, EngineStats } from '../../src/delivery/index';
import type { AccountNode } from '../account/account-api';
import { CalmStatus, looks, type Look, type Shown } from '../shared/calm-status';
import { conditionOf, statusText, type Condition } from '../shared/queue-state';

const everyMs = 1000;
/** How long the status shows an event of a message. */
const tellForMs = 10_000;
/** How long the status shows the last delivery. */
const deliveredForMs = 5_000;

/** Statuses without a problem: a remark replaces them, or turns them yellow. */
const calmKeys: ReadonlySet<string> = new Set([
  'idle',
  'idleMemory',
  'delivered',
  'working',
  'dryRun',
  'standby',
]);
type Told = 'queuedOnly' | 'full' | 'invalid';

interface Followed {
  readonly engine: MemberQueue;
  readonly account: Pick<AccountNode, 'id' | 'warnAfterMs' | 'isSandbox'>;
}

export class StatusLine {
  private followed: Followed | null = null;
  private interval: NodeJS.Timeout | null = null;
  private told: { readonly key: Told; readonly untilMs: number; readonly entries: number } | null = null;
  /** Entries of this node since it was idle. */
  private delivered = { entries: 0, untilMs: -Infinity };
  private readonly status: CalmStatus;

  constructor(
    private readonly RED: NodeAPI,
    node: Node,
    private readonly dryRun: boolean,
    /** A remark to show while delivery works; null for none. */
    private readonly remark: () => string | null,
  ) {
    this.status = new CalmStatus(node);
  }

  /** Without an engine; a key below `status`. */
  show(look: Look, key: string): void {
    this.status.show(() => this.shown({ look, key }));
  }

  follow(engine: MemberQueue, account: Followed['account']): void {
    this.followed = { engine, account };
    this.refresh();
    this.interval = setInterval(() => this.refresh(), everyMs).unref();
  }

  /** An event of a message, shown for a while. `entries` counts the invalid ones. */
  tell(key: Told, entries = 0): void {
    const nowMs = performance.now();
    const before = this.told?.key === key && nowMs < this.told.untilMs ? this.told.entries : 0;
    this.told = { key, untilMs: nowMs + tellForMs, entries: before + entries };
  }

  /** Delivered entries of this node, shown for a while from the next update. */
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

  private shown(condition: Condition): Shown {
    const { look: own, key } = condition;
    const remark = calmKeys.has(key) ? this.remark() : null;
    const look = remark === null ? own : 'waiting';
    const status = remark === null || key === 'delivered' ? statusText(condition, this.RED) : remark;
    const text =
      this.followed?.account.isSandbox === true ? this.RED._('status.sandbox', { status }) : status;
    return { ...looks[look], text };
  }

  private lineOf({ engine, account: { id, warnAfterMs } }: Followed): Condition {
    if (this.dryRun) return { look: 'idle', key: 'dryRun' };
    const stats = engine.stats();
    const { waiting } = stats.counters;
    const { state, oldestMs } = stats;
    const nowMs = performance.now();
    const told = this.told !== null && this.told.untilMs > nowMs ? this.told : null;
    const full: Condition = { look: 'stopped', key: 'full' };
    // The store-and-forward buffer has its own cap.
    if (told?.key === 'full' && state.kind === 'databaseAway') return full;
    const condition = conditionOf(state, engine.logins.state(id), systemClock.monoMs());
    const isCalm = condition.key === 'idle' || condition.key === 'sending' || state.kind === 'standby';
    if (!isCalm) return condition;
    if (told?.key === 'full') return full;
    if (oldestMs > warnAfterMs)
      return { look: 'waiting', key: 'late', params: { age: { seconds: oldestMs / 1000 } } };
    if (told?.key === 'queuedOnly' && waiting > 0) return { look: 'working', key: 'queuedOnly' };
    if (state.kind === 'standby') return condition;
    if (waiting > 0) return workingLine(stats);
    if (told?.key === 'invalid') return { look: 'waiting', key: 'invalid', params: { number: told.entries } };
    if (nowMs < this.delivered.untilMs)
      return { look: 'idle', key: 'delivered', params: { number: this.delivered.entries } };
    return { look: 'idle', key: engine.durable ? 'idle' : 'idleMemory' };
  }
}

function workingLine({ usersPerSecond, counters: { waiting } }: EngineStats): Condition {
  const left = { seconds: usersPerSecond > 0 ? waiting / usersPerSecond : null };
  return { look: 'working', key: 'working', params: { queued: waiting, left } };
}

/** For a problem of an account's configuration, by its key in the account's words. */
export function accountStatus(problemKey: string): string {
  return accountProblems[problemKey] ?? 'account';
}

const accountProblems: Readonly<Record<string, string>> = {
  'error.member_missing': 'member_missing',
  'error.username_missing': 'login_missing',
  'error.password_missing': 'login_missing',
  'error.key_name_missing': 'login_missing',
  'error.key_missing': 'login_missing',
  'error.key_invalid': 'key_invalid',
  'error.key_public': 'key_invalid',
  'error.key_encrypted': 'key_invalid',
  'error.queue_kinds_differ': 'queue_kinds_differ',
  'error.queue_encryption_differs': 'queue_kinds_differ',
  'error.encrypt_shared': 'encryption',
  'error.encrypt_no_secret': 'encryption',
};
