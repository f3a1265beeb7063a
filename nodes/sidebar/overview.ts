// Overview of each queue, and of accounts without one, for the tab Audience: plain data for the editor, the metrics and tests.

import { systemClock } from '../../src/clock';
import type { NodeAPI } from 'node-red';
import type {
  EngineInfo,
  EngineStats,
  Counters,
  EngineState,
  SharedView,
  Sample,
  LoggedError,
} from '../../src/delivery/index';
import type { SharedSandbox } from '../../src/sandbox/index';
import { DEFAULT_SERVICE_URL } from '../../src/service/index';
import type { SegmentWarning } from '../../src/usage/index';
import { shownSyncs, type ShownSync } from '../audience-sync/synced-segments';
import { segmentKey, segmentParams } from '../instant-audience-out/segment-words';
import { accountType } from '../account/forms/admin-settings';
import type { Account } from '../account/account-api';
import { conditionOf, isMisconfigured, type Condition } from '../shared/queue-state';

/** State of a queue, as in its nodes' status; `code` and `message` add details. */
export interface ShownState extends Condition {
  /** For metrics. */
  readonly kind: EngineState['kind'] | 'loginRefused' | 'loginWait' | 'misconfigured';
  readonly code: string | null;
  /** In the words of the service or the system, which are English. */
  readonly message: string | null;
  /** Time until the next try of a login or setting; null if unknown. */
  readonly secondsLeft: number | null;
}

export interface ShownQueue
  extends
    Pick<EngineInfo, 'key' | 'accounts' | 'origin' | 'member' | 'sinceWallMs'>,
    Pick<EngineStats, 'postsInFlight' | 'usersPerSecond' | 'oldestMs'>,
    Readonly<Counters> {
  /** By the address to which it sends. */
  readonly environment: 'sandbox' | 'production' | 'custom';
  readonly durable: boolean;
  /** Of a queue that several processes share; else null. */
  readonly shared: SharedView | null;
  readonly state: ShownState;
  readonly usersLimit: number;
  /** Refused before they were queued. */
  readonly invalid: number;
  /** Rejected by the service or refused before they were queued, since midnight; without purged and erased ones. */
  readonly rejectedToday: number;
  /** Accepted by the service without being counted. */
  readonly unaccounted: { readonly users: number; readonly segments: number };
  /** Of rejected and invalid ones. */
  readonly rejectedByCode: Readonly<Record<string, number>>;
  /** Of the last rejected ones, how many can be exported. */
  readonly rejectedKept: number;
  readonly errors: readonly LoggedError[];
  /** At the rate of the last seconds; null while nothing ends. */
  readonly drainSeconds: number | null;
  readonly warnAfterMs: number;
  /** Whether the oldest entry has waited longer than the account allows. */
  readonly late: boolean;
  readonly lastSample: Sample | null;
  /** Segments in use for which entries would have no effect. */
  readonly segments: readonly ShownSegmentWarning[];
  /** Segments that an audience sync keeps equal to a table. */
  readonly synced: readonly ShownSync[];
}

export interface ShownSegmentWarning {
  /** Of its sentence, below `segment` in the out node's words. */
  readonly key: string;
  /** What the sentence needs. */
  readonly params: Readonly<Record<string, string | number>>;
}

export interface FoundWarning {
  readonly warning: SegmentWarning;
  /** Whether adds to it wait during its warm-up. */
  readonly holds: boolean;
}

const mostSegments = 10;
const defaultWarnAfterMs = 120_000;
/** Of how much the last second changes the rate by which the time to drain is told. */
const smoothing = 0.2;

/** Keeps the rates between two looks. */
export class Overview {
  private readonly rates = new Map<string, { atMs: number; ended: number; perSecond: number | null }>();

  constructor(
    private readonly engines: () => readonly EngineInfo[],
    /** The account's setting, by node id; null for a missing account. */
    private readonly warnAfter: (account: string) => number | null,
    /** What was found about the segments of an account's flows, by its node id. */
    private readonly segmentWarnings: (account: string) => readonly FoundWarning[] = () => [],
    private readonly monoMs: () => number = () => systemClock.monoMs(),
  ) {}

  queues(): ShownQueue[] {
    const infos = this.engines();
    const keys = new Set(infos.map(({ key }) => key));
    for (const key of this.rates.keys()) if (!keys.has(key)) this.rates.delete(key);
    return infos.map((info) => this.shown(info)).sort(byUse);
  }

  private shown(info: EngineInfo): ShownQueue {
    const { key, accounts, origin, member, engine, sinceWallMs, limits } = info;
    const { counters, oldestMs, postsInFlight, usersPerSecond, state, shared = null } = engine.stats();
    const { monitor } = engine;
    const { waiting, accepted, superseded, expired, rejected } = counters;
    const perSecond = this.rate(key, accepted + superseded + expired + rejected) ?? usersPerSecond;
    const warnAfterMs = this.warnAfterMs(info);
    return {
      key,
      accounts,
      origin,
      member,
      environment: environmentOf(origin),
      durable: engine.durable,
      sinceWallMs,
      shared,
      state: this.stateOf(info, state),
      postsInFlight,
      usersPerSecond,
      usersLimit: limits.usersPerSecond,
      ...counters,
      invalid: monitor.invalid,
      rejectedToday: monitor.rejectedToday,
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
      synced: shownSyncs(engine),
    };
  }

  /** Each once, also where several nodes name it. */
  private segmentsOf({ accounts }: EngineInfo): ShownSegmentWarning[] {
    const found = new Map<string, ShownSegmentWarning>();
    for (const { id } of accounts) {
      for (const { warning, holds } of this.segmentWarnings(id)) {
        const shown = { key: segmentKey(warning, holds), params: segmentParams(warning, Date.now()) };
        const name = `${warning.kind} ${warning.key}`;
        // Of two nodes that name the segment, the one that delays adds is shown.
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

  /** Recent rate of ended entries a second; null at the first sample. */
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
    const login = state.kind === 'login' ? engine.logins.state(state.account) : null;
    const condition = conditionOf(state, login, this.monoMs());
    const code = 'code' in state ? state.code : null;
    const message = 'message' in state ? state.message : null;
    const shown = { ...condition, kind: state.kind, code, message, secondsLeft: null };
    if (state.kind !== 'login') return shown;
    const name = accounts.length > 1 ? accounts.find(({ id }) => id === state.account)?.name : undefined;
    const leftMs = login?.kind === 'wait' ? login.untilMs - this.monoMs() : null;
    return {
      ...shown,
      kind: state.final ? 'loginRefused' : isMisconfigured(state.code) ? 'misconfigured' : 'loginWait',
      message: name === undefined ? state.message : `${name}: ${state.message}`,
      secondsLeft: leftMs === null ? null : Math.max(1, Math.ceil(leftMs / 1000)),
    };
  }
}

function environmentOf(origin: string): ShownQueue['environment'] {
  if (origin === 'sandbox') return 'sandbox';
  return origin === DEFAULT_SERVICE_URL ? 'production' : 'custom';
}

/** Those that accounts use come first: one that an account has just left is about to go. */
function byUse(a: ShownQueue, b: ShownQueue): number {
  const isLeft = ({ accounts }: ShownQueue): number => (accounts.length === 0 ? 1 : 0);
  const nameOf = ({ accounts, key }: ShownQueue): string => accounts[0]?.name ?? key;
  return isLeft(a) - isLeft(b) || (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0);
}

/** A deployed account without an engine, and so without figures: an unused or unusable one. */
export interface IdleAccount {
  readonly id: string;
  readonly name: string;
  /** The problem of the account, from its catalogue; null if it is merely unused. */
  readonly problem: Account['problem'];
}

export function idleAccounts(RED: NodeAPI, engines: readonly EngineInfo[]): IdleAccount[] {
  const atWork = new Set(engines.flatMap(({ accounts }) => accounts.map(({ id }) => id)));
  const idle: IdleAccount[] = [];
  RED.nodes.eachNode(({ id, type }) => {
    if (type !== accountType || atWork.has(id)) return;
    const account = RED.nodes.getNode(id) as unknown as Account | null | undefined;
    if (!account) return;
    const { accountName: name, problem, isUsed } = account;
    // An account that is starting is neither.
    if (problem !== null || !isUsed) idle.push({ id, name, problem });
  });
  return idle;
}

export interface ShownSegment {
  readonly segment: string;
  readonly name: string | null;
  readonly count: number;
}

/** Counting takes at most this part of the time, since a sandbox may have a million members. */
const countingShare = 0.02;
const countEveryMs = 1_000;
let counted: { readonly untilMs: number; readonly segments: readonly ShownSegment[] } | null = null;

/** Numbers of users in the sandbox's segments, counted only while a tab is open; null when no sandbox runs. */
export function sandboxSegments({ live }: SharedSandbox): readonly ShownSegment[] | null {
  if (live === null) return null;
  const startMs = performance.now();
  if (counted === null || startMs >= counted.untilMs) {
    const segments = live.members().map(({ segment, name, count }) => ({ segment, name, count }));
    const endMs = performance.now();
    counted = { untilMs: endMs + Math.max(countEveryMs, (endMs - startMs) / countingShare), segments };
  }
  return counted.segments;
}
