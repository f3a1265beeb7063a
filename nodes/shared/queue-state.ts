// State of a queue: one look and one word for a node's status, the tab Audience and the metrics.

import type { EngineState, LoginState } from '../../src/delivery/index';
import type { LoginRefusal } from '../../src/service/index';
import type { Look } from './calm-status';
import { languageOf, short } from './figures';
import type { Words } from './words';

/** A number, or a time that is shown in one unit; null for one that is not known. */
type Figure = number | { readonly seconds: number | null };

export interface Condition {
  readonly look: Look;
  /** Below `status` of the out node's words. */
  readonly key: string;
  readonly params?: Readonly<Record<string, Figure>>;
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
    case 'databaseAway':
      return state.kept === 0
        ? { look: 'waiting', key: 'databaseAway' }
        : { look: 'waiting', key: 'databaseAwayKept', params: { kept: state.kept } };
    case 'paused':
      return { look: 'waiting', key: 'paused' };
    case 'rateLimited': {
      const left = { seconds: Math.max(1, Math.ceil((state.untilMs - nowMs) / 1000)) };
      return { look: 'waiting', key: 'rateLimited', params: { left } };
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

/** The login problem of an account; null for none. */
function conditionOfLogin(state: LoginState | null): Condition | null {
  if (state?.kind === 'refused') return { look: 'stopped', key: loginRefusals[state.code] };
  return state?.kind === 'wait' ? loginWait(state.code) : null;
}

function calmCondition(state: EngineState): Condition {
  if (state.kind !== 'standby')
    return state.kind === 'idle' ? { look: 'idle', key: 'idle' } : { look: 'working', key: 'sending' };
  // Standby is normal while another instance is active.
  return state.sender === null ? { look: 'waiting', key: 'standbyAlone' } : { look: 'idle', key: 'standby' };
}

/** Final until an operator acts (service.md 2). */
export const loginRefusals: Readonly<Record<LoginRefusal, string>> = {
  NOAUTH: 'wrong_login',
  NOAUTH_EXPIRED: 'password_expired',
  NOAUTH_DISABLED: 'account_disabled',
  UNAUTH: 'not_allowed',
};

/** For an account that waits for its next login or post. Red if retries are useless until a setting changes. */
export function loginWait(code: string): Condition {
  if (networkCodes.has(code)) return { look: 'waiting', key: 'trouble' };
  const known = waits[code];
  if (known !== undefined) return known;
  return isMisconfigured(code)
    ? { look: 'stopped', key: 'configuration' }
    : { look: 'waiting', key: 'login_failing' };
}

/** Forbidden, not found, a redirect, or a login that the service cannot read. */
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

/** No answer, or a late one. */
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

/** A condition in words, which are the out node's. */
export function statusText({ key, params = {} }: Omit<Condition, 'look'>, words: Pick<Words, '_'>): string {
  const language = languageOf(words);
  const texts = Object.entries(params).map(([name, figure]) => [
    name,
    typeof figure === 'number' ? short(figure, language) : shortTime(figure.seconds, words),
  ]);
  return words._(`status.${key}`, Object.fromEntries(texts) as Record<string, string>);
}

/** `42 s`, `59 min`, `23 h`, `57 d`: six characters at most. */
export function shortTime(seconds: number | null, words: Pick<Words, '_'>): string {
  if (seconds === null) return '…';
  const whole = Math.ceil(seconds);
  const days = Math.floor(whole / 86_400);
  if (whole < 60) return words._('time.s', { number: whole });
  if (whole < 3600) return words._('time.min', { number: Math.floor(whole / 60) });
  if (days === 0) return words._('time.h', { number: Math.floor(whole / 3600) });
  return days > 99 ? words._('time.more', { number: 99 }) : words._('time.d', { number: days });
}
