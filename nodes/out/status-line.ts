// The out node's status: at most one update a second, and only when it changed.

import type { Node, NodeAPI } from 'node-red';
import type { EngineState, EngineStats } from '../../src/delivery/engine';

type Look = 'idle' | 'working' | 'waiting' | 'stopped';

const looks: Record<Look, { fill: 'blue' | 'yellow' | 'green' | 'red'; shape: 'dot' | 'ring' }> = {
  working: { fill: 'blue', shape: 'dot' },
  waiting: { fill: 'yellow', shape: 'ring' },
  idle: { fill: 'green', shape: 'dot' },
  stopped: { fill: 'red', shape: 'ring' },
};

interface Line {
  readonly look: Look;
  readonly key: string;
  readonly params?: Record<string, string | number>;
}

/** How long the status tells that messages were done at queued because too many were open. */
const tellTooManyMs = 10_000;

export class StatusLine {
  private timer: NodeJS.Timeout | null = null;
  private shown = '';
  private stats: (() => EngineStats) | null = null;
  private durable = true;
  private warnAfterMs = Infinity;
  private tooManyUntil = 0;

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly dryRun: boolean,
  ) {}

  connecting(): void {
    this.show({ look: 'waiting', key: 'connecting' });
  }

  problem(key: string): void {
    this.show({ look: 'stopped', key: key.replace('status.', '') });
  }

  follow(stats: () => EngineStats, durable: boolean, warnAfterMs: number, everyMs: number): void {
    this.stats = stats;
    this.durable = durable;
    this.warnAfterMs = warnAfterMs;
    this.refresh();
    this.timer = setInterval(() => this.refresh(), everyMs).unref();
  }

  /** Messages ended at queued because too many waited for their outcome. */
  completedQueued(reason: 'asked' | 'tooManyOpen'): void {
    if (reason === 'tooManyOpen') this.tooManyUntil = performance.now() + tellTooManyMs;
  }

  refresh(): void {
    if (this.stats !== null) this.show(this.lineOf(this.stats()));
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.stats = null;
  }

  private show(line: Line): void {
    const text = this.RED._(`status.${line.key}`, line.params ?? {});
    const shown = `${line.look} ${text}`;
    if (shown === this.shown) return;
    this.shown = shown;
    this.node.status({ ...looks[line.look], text });
  }

  private lineOf(stats: EngineStats): Line {
    const queued = short(stats.counters.waiting);
    if (this.dryRun) return { look: 'idle', key: 'dryRun' };
    const special = this.lineOfState(stats.state, queued);
    if (special !== null) return special;
    if (stats.counters.waiting === 0) return { look: 'idle', key: this.durable ? 'idle' : 'idleMemory' };
    if (stats.oldestMs > this.warnAfterMs) {
      return {
        look: 'waiting',
        key: 'late',
        params: { queued, minutes: Math.floor(stats.oldestMs / 60_000) },
      };
    }
    if (this.tooManyUntil > performance.now())
      return { look: 'working', key: 'queuedOnly', params: { queued } };
    return this.workingLine(stats, queued);
  }

  private workingLine(stats: EngineStats, queued: string): Line {
    const rate = stats.usersPerSecond;
    const left = rate > 0 ? clock(stats.counters.waiting / rate) : '…';
    const key = this.durable ? 'working' : 'workingMemory';
    return { look: 'working', key, params: { queued, rate, left } };
  }

  private lineOfState(state: EngineState, queued: string): Line | null {
    switch (state.kind) {
      case 'starting':
        return { look: 'waiting', key: 'connecting' };
      case 'outbox':
        return { look: 'stopped', key: `outbox_${state.code}` };
      case 'parked':
        return { look: 'waiting', key: 'waiting', params: { queued } };
      case 'paused':
        return { look: 'waiting', key: 'pausedByFlow', params: { queued } };
      case 'rateLimited': {
        const seconds = Math.max(1, Math.ceil((state.untilMs - performance.now()) / 1000));
        return { look: 'waiting', key: 'paused', params: { seconds } };
      }
      case 'login':
        return { look: state.final ? 'stopped' : 'waiting', key: loginKeys[state.code] ?? 'configuration' };
      case 'trouble':
        return { look: 'waiting', key: 'trouble', params: { queued } };
      case 'refusing':
        return { look: 'stopped', key: 'refusing', params: { queued } };
      case 'working':
      case 'idle':
        return null;
    }
  }
}

/** Words for why a login cannot send, by the engine's codes. */
const loginKeys: Readonly<Record<string, string>> = {
  NOAUTH: 'wrong_login',
  NOAUTH_EXPIRED: 'password_expired',
  NOAUTH_DISABLED: 'account_disabled',
  UNAUTH: 'not_allowed',
  tls: 'certificate',
  private_key: 'key_invalid',
  login_incomplete: 'login_missing',
  dns: 'unreachable',
  timeout: 'unreachable',
  refused: 'unreachable',
  reset: 'unreachable',
  unreachable: 'unreachable',
  authentication_limit: 'login_limit',
  proxy: 'unreachable',
};

/** 1234 as `1.2k`. */
function short(count: number): string {
  if (count < 1000) return String(count);
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)}k`;
  return `${(count / 1_000_000).toFixed(1)}M`;
}

/** Seconds as `0:42` or `1:05:00`. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
