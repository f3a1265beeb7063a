// Which words of `status` tell of which trouble, by the codes of accounts, logins and the network.

import type { LoginRefusal } from '../../src/service/outcome';

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

/** Final until somebody acts (spec section 2). */
export const loginRefusals: Readonly<Record<LoginRefusal, string>> = {
  NOAUTH: 'wrong_login',
  NOAUTH_EXPIRED: 'password_expired',
  NOAUTH_DISABLED: 'account_disabled',
  UNAUTH: 'not_allowed',
};

interface WaitWords {
  readonly look: 'waiting' | 'stopped';
  readonly key: string;
}

/** For a login that waits for its next try. Red where it is in vain until somebody changes a setting. */
export function loginWait(code: string): WaitWords {
  if (networkCodes.has(code)) return { look: 'waiting', key: 'trouble' };
  // Forbidden, not there, a redirect, a login in a form that the service does not know.
  if (/^(http_4\d\d|redirect|SYNTAX|INTEGRITY|status_not_ok)$/.test(code) && code !== 'http_408')
    return { look: 'stopped', key: 'configuration' };
  return loginWaits[code] ?? { look: 'waiting', key: 'login_failing' };
}

const loginWaits: Readonly<Record<string, WaitWords>> = {
  tls: { look: 'stopped', key: 'certificate' },
  private_key: { look: 'stopped', key: 'key_invalid' },
  login_incomplete: { look: 'stopped', key: 'login_missing' },
  authentication_limit: { look: 'waiting', key: 'login_limit' },
  rate_limited: { look: 'waiting', key: 'login_limit' },
};

/** Nobody answered, or not in time. */
export const networkCodes: ReadonlySet<string> = new Set([
  'dns',
  'refused',
  'unreachable',
  'connect_timeout',
  'connect',
  'timeout',
  'reset',
  'proxy',
]);
