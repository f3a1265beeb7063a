// Identity of a user: checks user ids and domains, refuses those that the service cannot use (service.md 3.1 and 6), and
// makes the keys by which entries of a user meet.
import type { Issue, Problem } from './issues';
import { shorten } from './shorten';

/** One documented kind of device id (service.md 3.1 and 6). */
interface DeviceDomain {
  /** The name in user keys: `sh1udid` and `sha1udid` are one kind. */
  readonly canonical: string;
  readonly format: 'uuid' | 'hex';
  readonly digits: number;
}

const deviceDomains: ReadonlyMap<string, DeviceDomain> = new Map<string, DeviceDomain>([
  ['idfa', { canonical: 'idfa', format: 'uuid', digits: 32 }],
  ['aaid', { canonical: 'aaid', format: 'uuid', digits: 32 }],
  ['sh1udid', { canonical: 'sha1udid', format: 'hex', digits: 40 }],
  ['sha1udid', { canonical: 'sha1udid', format: 'hex', digits: 40 }],
  ['md5udid', { canonical: 'md5udid', format: 'hex', digits: 32 }],
  ['openudid', { canonical: 'openudid', format: 'hex', digits: 40 }],
]);

/** The documented domains, as they are sent. */
export const knownDomains: readonly string[] = [...deviceDomains.keys()];

const retiredDomain = 'sha1mac';

/**
 * Limit of characters in a user id, a custom domain and a segment's code, to bound the memory of an entry. The platform
 * documents 50 for codes and 255 for names of segments; its own ids have 20 digits, device ids 40. It documents no
 * limit for mapped ids. So the limit excludes no valid text.
 */
export const maxTextChars = 256;
const widestBigint = 10n ** BigInt(maxTextChars);

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const hex32 = /^[0-9a-f]{32}$/i;
const hex40 = /^[0-9a-f]{40}$/i;
const plainText = /^[\w.:-]+$/;
const loneSurrogate = /\p{Surrogate}/u;
const whiteSpaceAround = /^\s|\s$/u;
const zeros = /^0+$/;
const zerosOrHyphens = /^[0-]+$/;

/** Whether an id has a form that always compares without case: a UUID, or 32 or 40 hex digits. */
export function ignoresCase(id: string): boolean {
  return (
    (id.length === 36 && uuid.test(id)) ||
    (id.length === 32 && hex32.test(id)) ||
    (id.length === 40 && hex40.test(id))
  );
}

/** Whether a text consists of letters, digits and `_.:-`, which need no escapes in JSON and one byte each. */
export function isPlain(text: string): boolean {
  return plainText.test(text);
}

/**
 * The problem of a text that is sent unchanged, or null. White space around it is refused, not trimmed: it may be a
 * part of a mapped id or code, so that trimming could name another user or segment.
 */
export function textProblem(text: string): Problem | null {
  if (text.length > maxTextChars)
    return { code: 'text_too_long', params: { got: text.length, max: maxTextChars } };
  if (isPlain(text)) return null;
  if (text === '') return { code: 'text_empty', params: {} };
  if (whiteSpaceAround.test(text)) return { code: 'text_white_space', params: { got: shorten(text) } };
  if (loneSurrogate.test(text)) return { code: 'text_broken', params: { got: shorten(text) } };
  return null;
}

/** The domain as it is sent (null: the platform's own and mapped ids), or its problem. */
export function readDomain(raw: unknown, allowCustom: boolean): string | null | Problem {
  if (raw === undefined || raw === null) return null;
  if (typeof raw !== 'string') return { code: 'domain_type', params: { got: shorten(raw) } };
  if (deviceDomains.has(raw)) return raw;
  return unlistedDomain(raw, allowCustom);
}

function unlistedDomain(domain: string, allowCustom: boolean): string | Problem {
  if (domain === '') return { code: 'domain_empty', params: {} };
  const problem = textProblem(domain);
  if (problem?.code === 'text_too_long') return problem;
  const folded = domain.trim().toLowerCase();
  if (folded === retiredDomain) return { code: 'domain_retired', params: { got: shorten(domain) } };
  // Refused even if custom domains are allowed: a documented name in another case is surely a mistake.
  if (deviceDomains.has(folded))
    return { code: 'domain_case', params: { got: shorten(domain), meant: folded } };
  if (!allowCustom)
    return { code: 'domain_unknown', params: { got: shorten(domain), known: knownDomains.join(', ') } };
  return problem ?? domain;
}

/** The user id as it is sent, or a problem that does not depend on the domain. */
export function readUserId(raw: unknown): string | Problem {
  if (typeof raw === 'string')
    return raw === '' ? { code: 'user_id_missing', params: {} } : (textProblem(raw) ?? raw);
  if (raw === undefined || raw === null) return { code: 'user_id_missing', params: {} };
  if (typeof raw === 'number') return digitsOf(raw);
  // Databases may return exact 64-bit numbers.
  if (typeof raw === 'bigint' && raw >= 0n && raw < widestBigint) return String(raw);
  return { code: 'user_id_type', params: { got: shorten(raw) } };
}

function digitsOf(number: number): string | Problem {
  if (Number.isSafeInteger(number) && number >= 0) return String(number);
  const lost = Number.isFinite(number) && Math.abs(number) > Number.MAX_SAFE_INTEGER;
  return { code: lost ? 'user_id_digits_lost' : 'user_id_not_whole', params: { got: shorten(number) } };
}

/** The problem of an id in this domain, or null. */
export function userIdProblem(id: string, domain: string | null): Problem | null {
  const device = domain === null ? undefined : deviceDomains.get(domain);
  if (device === undefined) {
    if (zeros.test(id)) return { code: 'user_id_zero', params: {} };
    return uuid.test(id) && isAllZero(id) ? allZero(id) : null;
  }
  if (isAllZero(id)) return allZero(id);
  if (device.format === 'uuid') {
    return uuid.test(id) ? null : { code: 'user_id_not_uuid', params: { got: shorten(id), domain: domain! } };
  }
  if ((device.digits === 32 ? hex32 : hex40).test(id)) return null;
  return { code: 'user_id_not_hex', params: { got: shorten(id), domain: domain!, digits: device.digits } };
}

/** Whether a user has no problem. */
export function isUser(rawId: unknown, rawDomain: unknown, allowCustom: boolean): boolean {
  const domain = readDomain(rawDomain, allowCustom);
  const id = readUserId(rawId);
  if (typeof id !== 'string' || (typeof domain === 'object' && domain !== null)) return false;
  return userIdProblem(id, domain) === null;
}

function isAllZero(id: string): boolean {
  return zerosOrHyphens.test(id) && id.includes('0');
}

function allZero(id: string): Problem {
  return { code: 'user_id_all_zero', params: { got: shorten(id) } };
}

interface UserKey {
  /** Equal for all spellings of one user: domain and id, in lower case where the kind of id ignores case. */
  readonly userKey: string;
  /** Distinguishes spellings with the same key: '' for device ids, else the id as given. */
  readonly spelling: string;
}

/**
 * Key and spelling of a checked user id. The service compares device ids without case. For the platform's own, mapped
 * and custom ids this is not documented: those that look like device ids share a key, which keeps their order, but not
 * a spelling, so that they never coalesce.
 */
export function userKeyOf(domain: string | null, id: string): UserKey {
  const device = domain === null ? undefined : deviceDomains.get(domain)?.canonical;
  if (device !== undefined) return { userKey: `${device}:${id.toLowerCase()}`, spelling: '' };
  const folded = ignoresCase(id) ? id.toLowerCase() : id;
  // A custom domain is quoted, so that no name can imitate another key.
  return { userKey: domain === null ? `:${folded}` : `${JSON.stringify(domain)}:${folded}`, spelling: id };
}

/** All possible keys of a user with this id: of the domain, or if undefined of all documented domains and of null. */
export function userKeysOf(domain: string | null | undefined, id: string): string[] {
  const domains = domain === undefined ? [null, ...knownDomains] : [domain];
  return [...new Set(domains.map((one) => userKeyOf(one, id).userKey))];
}

/** 53-bit non-cryptographic hash of a user key (cyrb53); a whole number from 0 to 2^53−1. */
export function hashUserKey(key: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}

export type ErasedUser =
  /** `keys`: all user keys under which entries of the user may be stored. */
  | { readonly ok: true; readonly id: string; readonly keys: readonly string[] }
  | { readonly ok: false; readonly issue: Issue };

/**
 * Reads the user that a message or a form asks to erase.
 *
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
