// Memberships of the sandbox: users in segments with value and expiration. The last write wins.
import type { SegmentKey } from './catalogue';

/** One user in one segment, in the form that tests and the admin routes show. */
export interface Membership {
  /** The segment's id in digits, or `member:code` for a code that is not listed. */
  readonly segment: string;
  readonly user_id: string;
  readonly domain: string | null;
  /** Null when the block had no value. */
  readonly value: number | null;
  /** ISO 8601; null never expires. */
  readonly expires: string | null;
}

interface Held {
  value: number | null;
  /** Epoch ms; Infinity never expires. */
  expiresWallMs: number;
}

const sweepEveryMs = 60_000;

/** Nested maps instead of joined keys, so that only the first write of a membership allocates. */
export class Memberships {
  /** By segment, domain ('' for the platform's own ids) and user id. */
  readonly #held = new Map<SegmentKey, Map<string, Map<string, Held>>>();
  #sweptWallMs = 0;

  put(
    segment: SegmentKey,
    domain: string,
    userId: string,
    value: number | null,
    expiresWallMs: number,
  ): void {
    let domains = this.#held.get(segment);
    if (!domains) this.#held.set(segment, (domains = new Map<string, Map<string, Held>>()));
    let users = domains.get(domain);
    if (!users) domains.set(domain, (users = new Map<string, Held>()));
    const held = users.get(userId);
    if (held) {
      held.value = value;
      held.expiresWallMs = expiresWallMs;
    } else {
      users.set(userId, { value, expiresWallMs });
    }
  }

  remove(segment: SegmentKey, domain: string, userId: string): void {
    this.#held.get(segment)?.get(domain)?.delete(userId);
  }

  clear(): void {
    this.#held.clear();
  }

  /** Deletes expired memberships, at most once a minute, to bound memory. */
  sweepNowAndThen(nowWallMs: number): void {
    if (Math.abs(nowWallMs - this.#sweptWallMs) < sweepEveryMs) return;
    this.#sweptWallMs = nowWallMs;
    for (const domains of this.#held.values()) {
      for (const users of domains.values()) {
        for (const [userId, held] of users) if (held.expiresWallMs <= nowWallMs) users.delete(userId);
      }
    }
  }

  /** Number of members of each segment that has any, sorted by segment. */
  counts(nowWallMs: number): { segment: SegmentKey; count: number }[] {
    const counts: { segment: SegmentKey; count: number }[] = [];
    for (const segment of this.#sortedSegments()) {
      let count = 0;
      for (const users of this.#held.get(segment)!.values()) {
        for (const held of users.values()) if (held.expiresWallMs > nowWallMs) count += 1;
      }
      if (count > 0) counts.push({ segment, count });
    }
    return counts;
  }

  /** The first `limit` members of one segment. */
  firstMembers(segment: SegmentKey, limit: number, nowWallMs: number): Membership[] {
    const first: Membership[] = [];
    if (limit === 0) return first;
    for (const membership of this.members(segment, nowWallMs)) {
      first.push(membership);
      if (first.length === limit) break;
    }
    return first;
  }

  /** The members of one segment, sorted by domain and user id. */
  *members(segment: SegmentKey, nowWallMs: number): Generator<Membership> {
    const domains = this.#held.get(segment);
    for (const domain of [...(domains?.keys() ?? [])].sort()) {
      const users = domains!.get(domain)!;
      for (const userId of [...users.keys()].sort()) {
        const held = users.get(userId);
        if (held && held.expiresWallMs > nowWallMs) yield toMembership(segment, domain, userId, held);
      }
    }
  }

  /** Memberships of one user in a segment, in every domain; device ids match in either case. */
  *membershipsOf(segment: SegmentKey, userId: string, nowWallMs: number): Generator<Membership> {
    for (const [domain, users] of this.#held.get(segment) ?? []) {
      const spelled = foldedUserId(domain, userId);
      const held = users.get(spelled);
      if (held && held.expiresWallMs > nowWallMs) yield toMembership(segment, domain, spelled, held);
    }
  }

  /** All memberships, sorted by segment (ids before codes), domain and user id. */
  *all(nowWallMs: number): Generator<Membership> {
    for (const segment of this.#sortedSegments()) yield* this.members(segment, nowWallMs);
  }

  /** Adds the saved state of another sandbox, without memberships that have expired meanwhile. */
  restore(memberships: Iterable<Membership>, nowWallMs: number): void {
    for (const { segment, domain, user_id, value, expires } of memberships) {
      const expiresWallMs = expires === null ? Infinity : Date.parse(expires);
      const key = /^\d+$/.test(segment) ? Number(segment) : segment;
      if (expiresWallMs > nowWallMs) this.put(key, domain ?? '', user_id, value, expiresWallMs);
    }
  }

  #sortedSegments(): SegmentKey[] {
    return [...this.#held.keys()].sort((a, b) => {
      if (typeof a === 'number') return typeof b === 'number' ? a - b : -1;
      return typeof b === 'number' || a > b ? 1 : -1;
    });
  }
}

function toMembership(segment: SegmentKey, domain: string, userId: string, held: Held): Membership {
  return {
    segment: String(segment),
    user_id: userId,
    domain: domain === '' ? null : domain,
    value: held.value,
    expires: held.expiresWallMs === Infinity ? null : new Date(held.expiresWallMs).toISOString(),
  };
}

const deviceDomains: ReadonlySet<string> = new Set(['idfa', 'aaid', 'sha1udid', 'md5udid', 'openudid']);

/** The domain as memberships store it: '' for null, and `sha1udid` for its older name `sh1udid`. */
export function foldedDomain(domain: string | null | undefined): string {
  return domain === 'sh1udid' ? 'sha1udid' : (domain ?? '');
}

/** The user id as memberships store it: device ids in lower case, since UUIDs and hex ids compare without case. */
export function foldedUserId(foldedDomain: string, userId: string): string {
  return deviceDomains.has(foldedDomain) ? userId.toLowerCase() : userId;
}

/**
 * Whether a user is unknown to the platform: a post accepts it without effect, and only the usage statistics show it.
 * True for ids that are nobody's (service.md 6): opted out, no cookie, tracking limited, or of a retired kind. Also,
 * for trials: device ids that begin with `ffffffff`, and other ids that begin with `unknown` or eight nines.
 */
export function isUnknown(foldedDomain: string, foldedUserId: string): boolean {
  if (foldedDomain === 'sha1mac') return true;
  if (deviceDomains.has(foldedDomain))
    return foldedUserId.startsWith('ffffffff') || /^[0-]+$/.test(foldedUserId);
  return (foldedDomain === '' && foldedUserId === '0') || /^(unknown|9{8})/.test(foldedUserId);
}
