// Who is in which segment: the last write wins, and what has expired is gone.
import type { SegmentKey } from './catalogue';

/** One user in one segment, as tests and the admin routes see it. */
export interface Membership {
  /** The segment's id in digits, or `member:code` for a code that is not listed. */
  readonly segment: string;
  readonly user_id: string;
  readonly domain: string | null;
  /** As sent; null when the block had none. */
  readonly value: number | null;
  /** ISO 8601, or null for never. */
  readonly expires: string | null;
}

interface Held {
  value: number | null;
  /** Epoch ms; Infinity never expires. */
  expiresWallMs: number;
}

const sweepEveryMs = 60_000;

/** Nested maps rather than joined keys: nothing is built per write but the first of a membership. */
export class Memberships {
  /** By segment, by domain ('' for the platform's own ids), by user id. */
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

  /** Drops what has expired, at most once a minute, so that memory follows what is alive. */
  sweepNowAndThen(nowWallMs: number): void {
    if (Math.abs(nowWallMs - this.#sweptWallMs) < sweepEveryMs) return;
    this.#sweptWallMs = nowWallMs;
    for (const domains of this.#held.values()) {
      for (const users of domains.values()) {
        for (const [userId, held] of users) if (held.expiresWallMs <= nowWallMs) users.delete(userId);
      }
    }
  }

  /** How many are in each segment that has any, in order of the segments. */
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

  /** One user's membership of a segment in every domain; device ids are found whatever their case. */
  *membershipsOf(segment: SegmentKey, userId: string, nowWallMs: number): Generator<Membership> {
    for (const [domain, users] of this.#held.get(segment) ?? []) {
      const spelled = foldedUserId(domain, userId);
      const held = users.get(spelled);
      if (held && held.expiresWallMs > nowWallMs) yield toMembership(segment, domain, spelled, held);
    }
  }

  /** Everything, sorted by segment (ids before codes), domain and user id. */
  *all(nowWallMs: number): Generator<Membership> {
    for (const segment of this.#sortedSegments()) yield* this.members(segment, nowWallMs);
  }

  /** Takes over what another instance gave as its state; what has expired meanwhile stays behind. */
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

export const deviceDomains: ReadonlySet<string> = new Set([
  'idfa',
  'aaid',
  'sha1udid',
  'md5udid',
  'openudid',
]);

/** A domain as memberships know it: '' for the platform's own, and one name for the one that has two. */
export function foldedDomain(domain: string | null | undefined): string {
  return domain === 'sh1udid' ? 'sha1udid' : (domain ?? '');
}

/** Device ids are UUIDs and hex digits, which mean the same in either case; other ids are taken as they are. */
export function foldedUserId(foldedDomain: string, userId: string): string {
  return deviceDomains.has(foldedDomain) ? userId.toLowerCase() : userId;
}
