// Explanation of the limits of an account, in users a day.

import { long } from '../../shared/figures';
import { numbers } from '../schema';

/** Of a member, as documented. */
const documented = {
  posts: numbers.postsPerSecond.usual,
  users: numbers.usersPerSecond.usual,
  concurrent: numbers.maxConcurrent.usual,
} satisfies Limits;

export interface Limits {
  readonly posts: number;
  readonly users: number;
  readonly concurrent: number;
}

/** The values of the sentence's placeholders, written for the reader's language. */
export interface Meaning {
  readonly users: string;
  readonly day: string;
  /** Users a second when every reply takes a second. */
  readonly slow: string;
}

/** A permit is free again 1,005 ms after the reply (promise 3), so slow replies cost quota. */
const slowShare = 1_000 / (1_005 + 1_000);

/** `language` is a BCP 47 tag such as `en-US`; `usersPerCall` is the largest number of users in one call. */
export function meaningOf(
  limits: Pick<Limits, 'posts' | 'users'>,
  usersPerCall: number,
  language: string,
): Meaning {
  const users = Math.min(limits.users, limits.posts * usersPerCall);
  const rough = new Intl.NumberFormat(language, {
    notation: 'compact',
    compactDisplay: 'long',
    maximumSignificantDigits: 2,
  });
  const twoDigits = new Intl.NumberFormat(language, { maximumSignificantDigits: 2 });
  return {
    users: long(users, language),
    day: rough.format(users * 86_400),
    slow: twoDigits.format(users * slowShare),
  };
}

/** The documented limits, written for the reader's language. */
export function documentedWords(language: string): Record<string, string> {
  return Object.fromEntries(Object.entries(documented).map(([name, value]) => [name, long(value, language)]));
}

export function exceedsDocumented(limits: Limits): boolean {
  return (
    limits.posts > documented.posts ||
    limits.users > documented.users ||
    limits.concurrent > documented.concurrent
  );
}
