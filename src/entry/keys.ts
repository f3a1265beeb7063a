// User keys: the identity of a user across entries, and the hash by which the queue finds the user's rows.
import { deviceDomainOf, ignoresCase, knownDomains } from './identifiers';

export interface UserKey {
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
  const device = deviceDomainOf(domain);
  if (device !== null) return { userKey: `${device}:${id.toLowerCase()}`, spelling: '' };
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
