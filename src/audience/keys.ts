// The keys by which two entries of one user meet, and the hash under which an outbox finds them.
import { deviceDomainOf, ignoresCase, knownDomains } from './identifiers';

export interface UserKey {
  /** Equal for every way to write one user: domain and id, case folded where the id's kind ignores case. */
  readonly userKey: string;
  /** What tells two spellings of one key apart: '' for device ids, else the id as given. */
  readonly spelling: string;
}

/**
 * Key and spelling of a checked user id. Device ids are compared without case by the service. For the platform's
 * own, mapped and custom ids nobody says so: those that look like device ids share a key, so that they keep their
 * order, but not a spelling, so that they are never merged.
 */
export function userKeyOf(domain: string | null, id: string): UserKey {
  const device = deviceDomainOf(domain);
  if (device !== null) return { userKey: `${device}:${id.toLowerCase()}`, spelling: '' };
  const folded = ignoresCase(id) ? id.toLowerCase() : id;
  // A custom domain is quoted, so that no name can pass for another one's key.
  return { userKey: domain === null ? `:${folded}` : `${JSON.stringify(domain)}:${folded}`, spelling: id };
}

/** Every key by which a user may be known: by this kind of id, or, where none is named, by any listed kind. */
export function userKeysOf(domain: string | null | undefined, id: string): string[] {
  const domains = domain === undefined ? [null, ...knownDomains] : [domain];
  return [...new Set(domains.map((each) => userKeyOf(each, id).userKey))];
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
