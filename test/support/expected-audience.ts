// What the service must hold after events in order: a model of memberships in which the last one wins.
import type { Membership } from '../../src/sandbox/sandbox';

/** One user joins or leaves one segment. */
export interface Change {
  /** As the sandbox shows it: device ids in lower case. */
  readonly user: string;
  readonly segment: number;
  /** The value that is added, different for every change; null leaves the segment. */
  readonly value: number | null;
}

const shown = 5;

/**
 * For each user and segment the values that the service may hold; null is "not in it". One value, unless nobody
 * knows whether the last change was taken.
 */
export class ExpectedAudience {
  private readonly held = new Map<string, Set<number | null>>();

  /** The changes of one message whose taking was acknowledged, in order. */
  taken(changes: readonly Change[]): void {
    for (const change of changes) this.held.set(keyOf(change), new Set([change.value]));
  }

  /** The changes of one message that got no answer: all of them were taken, or none. */
  unanswered(changes: readonly Change[]): void {
    const last = new Map(changes.map((change) => [keyOf(change), change.value]));
    for (const [key, value] of last) this.held.set(key, new Set(this.held.get(key) ?? [null]).add(value));
  }

  /** How many users are in how many segments, at the least. */
  get memberships(): number {
    return [...this.held.values()].filter((values) => !values.has(null)).length;
  }

  /** What is not as it must be, a sentence each (the first few); none means equal. */
  differences(state: readonly Membership[]): string[] {
    const found = byKey(state);
    const wrong: string[] = [];
    for (const [key, values] of this.held) {
      const value = found.get(key) ?? null;
      if (!values.has(value)) wrong.push(`${key} has ${value}, expected ${[...values].join(' or ')}`);
    }
    for (const key of found.keys()) if (!this.held.has(key)) wrong.push(`${key} is not expected at all`);
    const more = wrong.length - shown;
    return more > 0 ? [...wrong.slice(0, shown), `and ${more} more`] : wrong;
  }

  /** What nobody knew is known now: later changes build on it. */
  settle(state: readonly Membership[]): void {
    const found = byKey(state);
    for (const key of this.held.keys()) this.held.set(key, new Set([found.get(key) ?? null]));
  }
}

function keyOf({ user, segment }: Change): string {
  return `user ${user} in ${segment}`;
}

function byKey(state: readonly Membership[]): Map<string, number | null> {
  return new Map(
    state.map(({ user_id, segment, value }) => [
      keyOf({ user: user_id, segment: Number(segment), value }),
      value,
    ]),
  );
}
