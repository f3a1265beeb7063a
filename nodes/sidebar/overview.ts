// What the tab "Audience" shows of each queue: plain data, the same for the editor, for metrics and for tests.

import { systemClock } from '../../src/delivery/clock';
import type { EngineInfo } from '../../src/delivery/engines';
import type { EngineState } from '../../src/delivery/engine';
import type { SharedView } from '../../src/delivery/shared-request';
import type { Sample } from '../../src/delivery/history';
import type { SegmentWarning } from '../../src/reconcile/segment-check';
import { segmentKey, segmentParams } from '../instant-audience-out/segment-words';
import type { LoggedError } from '../../src/delivery/monitor';

/** What a queue is doing. `code` and `message` say more where there is more to say. */
export interface ShownState {
  readonly kind: EngineState['kind'] | 'loginRefused' | 'loginWait';
  readonly code: string | null;
  /** In the words of the service or the system, which are English. */
  readonly message: string | null;
  /** Until it goes on by itself; null when that is not known. */
  readonly secondsLeft: number | null;
  /** The process that sends while this one stands by; null when nobody does. */
  readonly sender: string | null;
}

export interface ShownQueue {
  /** Names it in every call. */
  readonly key: string;
  readonly accounts: readonly { readonly id: string; readonly name: string }[];
  readonly origin: string;
  readonly member: string;
  readonly durable: boolean;
  /** Of a queue that several processes share; else null. */
  readonly shared: SharedView | null;
  readonly state: ShownState;
  readonly waiting: number;
  readonly postsInFlight: number;
  readonly usersPerSecond: number;
  readonly usersLimit: number;
  readonly postsLimit: number;
  readonly taken: number;
  readonly accepted: number;
  readonly superseded: number;
  readonly expired: number;
  readonly rejected: number;
  /** Refused before they were taken. */
  readonly invalid: number;
  /** The service said OK to them without counting them. */
  readonly unaccounted: { readonly users: number; readonly segments: number };
  /** Of rejected and invalid ones. */
  readonly rejectedByCode: Readonly<Record<string, number>>;
  /** Of the last rejected ones, how many can be exported. */
  readonly rejectedKept: number;
  readonly errors: readonly LoggedError[];
  /** At the rate of the last seconds; null while nothing ends. */
  readonly drainSeconds: number | null;
  readonly oldestMs: number;
  readonly warnAfterMs: number;
  /** The oldest waits longer than the account wants. */
  readonly late: boolean;
  readonly lastSample: Sample | null;
  /** Segments that builders name and posts would have no effect for. */
  readonly segments: readonly ShownSegmentWarning[];
}

export interface ShownSegmentWarning {
  /** Of its sentence, below `segment` in the out node's words. */
  readonly key: string;
  /** What the sentence needs. */
  readonly params: Readonly<Record<string, string | number>>;
}

/** What was found about the segments of an account's flows, by the account's node id. */
export type SegmentWarnings = (account: string) => readonly FoundWarning[];

export interface FoundWarning {
  readonly warning: SegmentWarning;
  /** Whether adds to it wait while it is young. */
  readonly holds: boolean;
}

/** The account's own setting, by node id; null for an account that is not there. */
export type WarnAfter = (account: string) => number | null;

const mostSegments = 10;
const defaultWarnAfterMs = 120_000;
/** Of how much the last second changes the rate by which the time to drain is told. */
const smoothing = 0.2;

/** Keeps the rates between two looks. */
export class Overview {
  private readonly rates = new Map<string, { atMs: number; ended: number; perSecond: number | null }>();

  constructor(
    private readonly engines: () => readonly EngineInfo[],
    private readonly warnAfter: WarnAfter,
    private readonly segmentWarnings: SegmentWarnings = () => [],
    private readonly monoMs: () => number = () => systemClock.monoMs(),
  ) {}

  queues(): ShownQueue[] {
    const infos = this.engines();
    const keys = new Set(infos.map(({ key }) => key));
    for (const key of this.rates.keys()) if (!keys.has(key)) this.rates.delete(key);
    return infos.map((info) => this.shown(info)).sort((a, b) => compare(nameOf(a), nameOf(b)));
  }

  private shown(info: EngineInfo): ShownQueue {
    const { key, accounts, origin, member, engine, limits } = info;
    const { counters, oldestMs, postsInFlight, usersPerSecond, state, shared = null } = engine.stats();
    const { monitor } = engine;
    const { waiting, taken, accepted, superseded, expired, rejected } = counters;
    const perSecond = this.rate(key, accepted + superseded + expired + rejected) ?? usersPerSecond;
    const warnAfterMs = this.warnAfterMs(info);
    return {
      key,
      accounts,
      origin,
      member,
      durable: engine.durable,
      shared,
      state: this.stateOf(info, state),
      waiting,
      postsInFlight,
      usersPerSecond,
      usersLimit: limits.usersPerSecond,
      postsLimit: limits.postsPerSecond,
      taken,
      accepted,
      superseded,
      expired,
      rejected,
      invalid: monitor.invalid,
      unaccounted: monitor.unaccounted.counts,
      rejectedByCode: monitor.rejections.byCode(),
      rejectedKept: monitor.rejections.size,
      errors: monitor.lastErrors().slice(0, 5),
      drainSeconds: waiting === 0 ? 0 : perSecond >= 0.5 ? Math.ceil(waiting / perSecond) : null,
      oldestMs: Math.floor(oldestMs / 1000) * 1000,
      warnAfterMs,
      late: oldestMs > warnAfterMs,
      lastSample: monitor.history.last,
      segments: this.segmentsOf(info),
    };
  }

  /** Each once, also where several nodes name it. */
  private segmentsOf({ accounts }: EngineInfo): ShownSegmentWarning[] {
    const found = new Map<string, ShownSegmentWarning>();
    for (const { id } of accounts) {
      for (const { warning, holds } of this.segmentWarnings(id)) {
        const shown = { key: segmentKey(warning, holds), params: segmentParams(warning, Date.now()) };
        const name = `${warning.kind} ${warning.key}`;
        // Of two nodes that name it, the one that waits says more.
        if (holds || !found.has(name)) found.set(name, shown);
      }
    }
    return [...found.values()].slice(0, mostSegments);
  }

  /** The shortest time that an account of this queue asks for. */
  warnAfterMs({ accounts }: EngineInfo): number {
    const all = accounts.map(({ id }) => this.warnAfter(id)).filter((ms) => ms !== null);
    return all.length === 0 ? defaultWarnAfterMs : Math.min(...all);
  }

  /** Entries that end in a second, of late; null at the first look. */
  private rate(key: string, ended: number): number | null {
    const atMs = this.monoMs();
    const before = this.rates.get(key);
    if (before === undefined || ended < before.ended) {
      this.rates.set(key, { atMs, ended, perSecond: null });
      return null;
    }
    const seconds = (atMs - before.atMs) / 1000;
    if (seconds < 0.5) return before.perSecond;
    const now = (ended - before.ended) / seconds;
    const weight = 1 - (1 - smoothing) ** seconds;
    const perSecond = before.perSecond === null ? now : before.perSecond + weight * (now - before.perSecond);
    this.rates.set(key, { atMs, ended, perSecond });
    return perSecond;
  }

  private stateOf({ engine, accounts }: EngineInfo, state: EngineState): ShownState {
    const secondsUntil = (untilMs: number): number =>
      Math.max(1, Math.ceil((untilMs - this.monoMs()) / 1000));
    const plain = { code: null, message: null, secondsLeft: null, sender: null };
    switch (state.kind) {
      case 'outbox':
        return { ...plain, kind: state.kind, code: state.code, message: state.message };
      case 'rateLimited':
        return { ...plain, kind: state.kind, secondsLeft: secondsUntil(state.untilMs) };
      case 'trouble':
        return { ...plain, kind: state.kind, code: state.code, message: state.message };
      case 'refusing':
      case 'apart':
        return { ...plain, kind: state.kind, message: state.message };
      case 'standby':
        return { ...plain, kind: state.kind, sender: state.sender };
      case 'login': {
        const login = engine.logins.state(state.account);
        const untilMs = login?.kind === 'wait' ? login.untilMs : null;
        const several = accounts.length > 1;
        const name = accounts.find(({ id }) => id === state.account)?.name;
        return {
          ...plain,
          kind: state.final ? 'loginRefused' : 'loginWait',
          code: state.code,
          message: several && name !== undefined ? `${name}: ${state.message}` : state.message,
          secondsLeft: untilMs === null ? null : secondsUntil(untilMs),
        };
      }
      default:
        return { ...plain, kind: state.kind };
    }
  }
}

function nameOf({ accounts, key }: ShownQueue): string {
  return accounts[0]?.name ?? key;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
