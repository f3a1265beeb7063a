// What a queue is doing: one look and one word for a node's status, the tab Audience and the metrics.

import type { EngineState } from '../../src/delivery/engine';
import type { LoginState } from '../../src/delivery/login';
import type { LoginRefusal } from '../../src/service/outcome';
import type { Look } from './calm-status';

export interface Condition {
  readonly look: Look;
  /** Below `status` of the out node's words. */
  readonly key: string;
  readonly params?: Readonly<Record<string, string | number>>;
}

/**
 * @param state of the engine; `login` there may speak of any account
 * @param login of the account that is asked about; null without one
 * @param nowMs monotonic
 */
export function conditionOf(state: EngineState, login: LoginState | null, nowMs: number): Condition {
  switch (state.kind) {
    case 'starting':
      return { look: 'waiting', key: 'connecting' };
    case 'outbox':
      return { look: 'stopped', key: `outbox_${state.code}` };
    case 'parked':
      return { look: 'waiting', key: 'parked' };
    case 'apart':
      return state.kept === 0
        ? { look: 'waiting', key: 'apart' }
        : { look: 'waiting', key: 'apartKept', params: { kept: short(state.kept) } };
    case 'paused':
      return { look: 'waiting', key: 'paused' };
    case 'rateLimited': {
      const seconds = Math.max(1, Math.ceil((state.untilMs - nowMs) / 1000));
      return { look: 'waiting', key: 'rateLimited', params: { seconds } };
    }
    case 'trouble':
      return { look: 'waiting', key: networkCodes.has(state.code) ? 'trouble' : 'failing' };
    case 'refusing':
      return { look: 'stopped', key: 'refusing' };
    case 'standby':
    case 'login':
    case 'working':
    case 'idle':
      return conditionOfLogin(login) ?? calmCondition(state);
  }
}

/** What keeps an account from sending; null when nothing does. */
function conditionOfLogin(state: LoginState | null): Condition | null {
  if (state?.kind === 'refused') return { look: 'stopped', key: loginRefusals[state.code] };
  return state?.kind === 'wait' ? loginWait(state.code) : null;
}

function calmCondition(state: EngineState): Condition {
  if (state.kind !== 'standby')
    return state.kind === 'idle' ? { look: 'idle', key: 'idle' } : { look: 'working', key: 'sending' };
  const { sender } = state;
  // Nothing is wrong as long as somebody sends.
  return sender === null
    ? { look: 'waiting', key: 'standbyAlone' }
    : { look: 'idle', key: 'standby', params: { sender } };
}

/** Final until somebody acts (service.md 2). */
export const loginRefusals: Readonly<Record<LoginRefusal, string>> = {
  NOAUTH: 'wrong_login',
  NOAUTH_EXPIRED: 'password_expired',
  NOAUTH_DISABLED: 'account_disabled',
  UNAUTH: 'not_allowed',
};

/** For an account that waits for its next try, of a login or of a post. Red where it is in vain until a setting changes. */
export function loginWait(code: string): Condition {
  if (networkCodes.has(code)) return { look: 'waiting', key: 'trouble' };
  const known = waits[code];
  if (known !== undefined) return known;
  return isMisconfigured(code)
    ? { look: 'stopped', key: 'configuration' }
    : { look: 'waiting', key: 'login_failing' };
}

/** Forbidden, not there, a redirect, or a login in a form that the service does not know. */
export function isMisconfigured(code: string): boolean {
  return /^(http_4\d\d|redirect|SYNTAX|INTEGRITY|status_not_ok)$/.test(code) && code !== 'http_408';
}

const waits: Readonly<Record<string, Condition>> = {
  http_404: { look: 'stopped', key: 'wrong_url' },
  http_405: { look: 'stopped', key: 'wrong_url' },
  redirect: { look: 'stopped', key: 'wrong_url' },
  tls: { look: 'stopped', key: 'certificate' },
  private_key: { look: 'stopped', key: 'key_invalid' },
  login_incomplete: { look: 'stopped', key: 'login_missing' },
  authentication_limit: { look: 'waiting', key: 'login_limit' },
  rate_limited: { look: 'waiting', key: 'login_limit' },
};

/** Nobody answered, or not in time. */
const networkCodes: ReadonlySet<string> = new Set([
  'dns',
  'refused',
  'unreachable',
  'connect_timeout',
  'connect',
  'timeout',
  'reset',
  'proxy',
]);

/** 1234 as `1.2k`. */
export function short(figure: number): string {
  if (figure < 1000) return String(figure);
  const [value, unit] = figure < 999_500 ? [figure / 1000, 'k'] : [figure / 1_000_000, 'M'];
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${unit}`;
}
