// The out node's status: at most one update a second, and only when it changed.

import type { Node, NodeAPI } from 'node-red';
import { systemClock } from '../../src/delivery/clock';
import type { MemberQueue } from '../../src/delivery/member-queue';
import type { EngineState, EngineStats } from '../../src/delivery/engine';
import type { LoginState } from '../../src/delivery/login';
import type { AccountNode } from '../account/account-api';
import { loginRefusals, loginWait, networkCodes } from './status-words';

const everyMs = 1000;
/** How long the status tells of something that happened to a message. */
const tellForMs = 10_000;

type Look = 'idle' | 'working' | 'waiting' | 'stopped';

const looks: Record<Look, { fill: 'blue' | 'yellow' | 'green' | 'red'; shape: 'dot' | 'ring' }> = {
  working: { fill: 'blue', shape: 'dot' },
  waiting: { fill: 'yellow', shape: 'ring' },
  idle: { fill: 'green', shape: 'dot' },
  stopped: { fill: 'red', shape: 'ring' },
};

/** `key` is below `status` of the words. */
interface Line {
  readonly look: Look;
  readonly key: string;
  readonly params?: Readonly<Record<string, string | number>>;
}

/** Those with which nothing is wrong. */
const calmKeys: ReadonlySet<string> = new Set([
  'idle',
  'idleMemory',
  'working',
  'workingMemory',
  'dryRun',
  'standby',
  'standbyQueued',
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
  private shown = '';
  private shownAtMs = -Infinity;
  /** What is shown when the second is over. */
  private next: Line | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly dryRun: boolean,
    /** What else is to be said while nothing is wrong with the delivery itself; null for nothing. */
    private readonly remark: () => string | null,
  ) {}

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

  refresh(): void {
    if (this.followed !== null) this.show(this.lineOf(this.followed));
  }

  stop(): void {
    if (this.interval !== null) clearInterval(this.interval);
    if (this.timer !== null) clearTimeout(this.timer);
    this.interval = this.timer = this.followed = null;
  }

  private show(line: Line): void {
    this.next = line;
    const waitMs = this.shownAtMs + everyMs - performance.now();
    if (waitMs <= 0) this.showNext(line);
    else this.timer ??= setTimeout(() => this.showLater(), waitMs).unref();
  }

  /** What holds now, not what held when it was too early to say so. */
  private showLater(): void {
    this.timer = null;
    if (this.next !== null) this.showNext(this.followed === null ? this.next : this.lineOf(this.followed));
  }

  private showNext({ look: own, key, params }: Line): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const remark = calmKeys.has(key) ? this.remark() : null;
    const line = this.RED._(`status.${key}`, { ...params });
    const look = remark === null ? own : 'waiting';
    const status = remark === null ? line : key === 'idle' ? remark : `${line} · ${remark}`;
    const text = this.followed?.isSandbox === true ? this.RED._('status.sandbox', { status }) : status;
    if (`${look} ${text}` === this.shown) return;
    this.shown = `${look} ${text}`;
    this.node.status({ ...looks[look], text });
    // After it, since it may take its time: the second counts from when others have seen it.
    this.shownAtMs = performance.now();
  }

  private lineOf({ engine, account, warnAfterMs }: Followed): Line {
    if (this.dryRun) return { look: 'idle', key: 'dryRun' };
    const stats = engine.stats();
    const { waiting } = stats.counters;
    const queued = short(waiting);
    const params = { queued };
    const { state } = stats;
    const told = this.told !== null && this.told.untilMs > performance.now() ? this.told.key : null;
    const full: Line = { look: 'stopped', key: 'full', params };
    // What is kept while the database is away has its cap, too.
    if (told === 'full' && state.kind === 'apart') return full;
    const special = lineOfState(state, queued) ?? lineOfLogin(engine.logins.state(account), queued);
    if (special !== null) return special;
    if (told === 'full') return full;
    if (waiting === 0 && state.kind !== 'standby')
      return { look: 'idle', key: engine.durable ? 'idle' : 'idleMemory' };
    if (stats.oldestMs > warnAfterMs) {
      const minutes = Math.floor(stats.oldestMs / 60_000);
      return { look: 'waiting', key: 'late', params: { queued, minutes } };
    }
    if (told === 'queuedOnly') return { look: 'working', key: 'queuedOnly', params };
    if (state.kind === 'standby') return standbyLine(state.sender, waiting);
    return workingLine(stats, engine.durable);
  }
}

function workingLine({ usersPerSecond: rate, counters }: EngineStats, durable: boolean): Line {
  const left = rate > 0 ? clock(counters.waiting / rate) : '…';
  const params = { queued: short(counters.waiting), rate, left };
  return { look: 'working', key: durable ? 'working' : 'workingMemory', params };
}

/** Nothing is wrong as long as somebody sends. */
function standbyLine(sender: string | null, waiting: number): Line {
  const queued = short(waiting);
  if (sender === null)
    return waiting === 0
      ? { look: 'waiting', key: 'standbyAlone' }
      : { look: 'waiting', key: 'standbyAloneQueued', params: { queued } };
  return waiting === 0
    ? { look: 'idle', key: 'standby', params: { sender } }
    : { look: 'idle', key: 'standbyQueued', params: { queued, sender } };
}

/** What holds the whole engine up; null when nothing does. */
function lineOfState(state: EngineState, queued: string): Line | null {
  const params = { queued };
  switch (state.kind) {
    case 'starting':
      return { look: 'waiting', key: 'connecting' };
    case 'outbox':
      return { look: 'stopped', key: `outbox_${state.code}` };
    case 'parked':
      return { look: 'waiting', key: 'waiting', params };
    case 'apart':
      return state.kept === 0
        ? { look: 'waiting', key: 'apart' }
        : { look: 'waiting', key: 'apartKept', params: { kept: short(state.kept) } };
    case 'paused':
      return { look: 'waiting', key: 'pausedByFlow', params };
    case 'rateLimited': {
      const seconds = Math.max(1, Math.ceil((state.untilMs - systemClock.monoMs()) / 1000));
      return { look: 'waiting', key: 'paused', params: { seconds } };
    }
    case 'trouble':
      return { look: 'waiting', key: networkCodes.has(state.code) ? 'trouble' : 'failing', params };
    case 'refusing':
      return { look: 'stopped', key: 'refusing', params };
    case 'standby': // Told below, after what may be wrong all the same.
    case 'login': // Of any account; the node shows its own.
    case 'working':
    case 'idle':
      return null;
  }
}

/** What keeps this node's account from sending; null when nothing does. */
function lineOfLogin(state: LoginState | null, queued: string): Line | null {
  if (state?.kind === 'refused') return { look: 'stopped', key: loginRefusals[state.code] };
  return state?.kind === 'wait' ? { ...loginWait(state.code), params: { queued } } : null;
}

/** 1234 as `1.2k`. */
function short(figure: number): string {
  if (figure < 1000) return String(figure);
  const [value, unit] = figure < 999_500 ? [figure / 1000, 'k'] : [figure / 1_000_000, 'M'];
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${unit}`;
}

/** Seconds as `0:42` or `1:05:00`. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
