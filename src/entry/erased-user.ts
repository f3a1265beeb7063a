// Reads the user that a message or a form asks to erase.
import { readDomain, readUserId } from './identifiers';
import type { Issue } from './issues';
import { userKeysOf } from './keys';

export type ErasedUser =
  /** `keys`: all user keys under which entries of the user may be stored. */
  | { readonly ok: true; readonly id: string; readonly keys: readonly string[] }
  | { readonly ok: false; readonly issue: Issue };

/**
 * @param domain the kind of id: null for the platform's own and mapped ids, undefined for all kinds
 */
export function readErasedUser(user: unknown, domain: unknown): ErasedUser {
  const id = readUserId(typeof user === 'string' ? user.trim() : user);
  if (typeof id !== 'string') return { ok: false, issue: { ...id, path: 'user_id' } };
  if (domain === undefined) return { ok: true, id, keys: userKeysOf(undefined, id) };
  const kind = readDomain(domain, true);
  if (typeof kind === 'object' && kind !== null) return { ok: false, issue: { ...kind, path: 'domain' } };
  return { ok: true, id, keys: userKeysOf(kind, id) };
}
