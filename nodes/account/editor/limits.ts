// Explanation of the limits of an account, in users a day.

/** The documented limits of a member: the account's defaults. */
const documentedLimits = { posts: 100, users: 1000, concurrent: 15 } as const;

export interface Limits {
  readonly posts: number;
  readonly users: number;
  readonly concurrent: number;
}

/** The documented limits of one call and of reads: the account's defaults. */
export const documentedAdvanced = {
  usersPerPost: 1000,
  blocksPerUser: 100,
  maxBodyBytes: 1_000_000,
  readsPerSecond: 1000,
  apiReadsPerMinute: 100,
} as const;

/** The values of the sentence's placeholders, written for the reader's language. */
export interface Meaning {
  readonly users: string;
  readonly day: string;
  readonly perCall: string;
  readonly replyMs: string;
}

/** `language` is a BCP 47 tag such as `en-US`; `usersPerCall` is the largest number of users in one call. */
export function meaningOf(limits: Limits, usersPerCall: number, language: string): Meaning {
  const users = Math.min(limits.users, limits.posts * usersPerCall);
  const plain = new Intl.NumberFormat(language);
  const rough = new Intl.NumberFormat(language, {
    notation: 'compact',
    compactDisplay: 'long',
    maximumSignificantDigits: 2,
  });
  return {
    users: plain.format(users),
    day: rough.format(users * 86_400),
    perCall: plain.format(Math.ceil(users / limits.posts)),
    replyMs: plain.format(Math.floor((limits.concurrent / limits.posts) * 1000)),
  };
}

/** The documented limits, written for the reader's language. */
export function documentedWords(language: string): Record<keyof Limits, string> {
  const plain = new Intl.NumberFormat(language);
  return {
    posts: plain.format(documentedLimits.posts),
    users: plain.format(documentedLimits.users),
    concurrent: plain.format(documentedLimits.concurrent),
  };
}

export function exceedsDocumented(limits: Limits): boolean {
  return (
    limits.posts > documentedLimits.posts ||
    limits.users > documentedLimits.users ||
    limits.concurrent > documentedLimits.concurrent
  );
}
