// Checks user ids and domains: refuses those that the service cannot use (service.md 3.1 and 6).
import { type Problem } from './issues';
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

/** The canonical name of a device domain; null for the platform's own ids and custom domains. */
export function deviceDomainOf(domain: string | null): string | null {
  return domain === null ? null : (deviceDomains.get(domain)?.canonical ?? null);
}

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

function isAllZero(id: string): boolean {
  return zerosOrHyphens.test(id) && id.includes('0');
}

function allZero(id: string): Problem {
  return { code: 'user_id_all_zero', params: { got: shorten(id) } };
}
