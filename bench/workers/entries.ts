// The input of every contender: the same users in the same segments.

export interface PlainEntry {
  readonly user_id: string;
  readonly domain: null;
  readonly seg_block: readonly {
    readonly seg_id: number;
    readonly value: number;
    readonly expiration: number;
  }[];
}

/** The node that hands entries over, and its account. */
export const source = { node: 'bench', account: 'bench' };

/** As long as the platform's own ids. */
export function userId(number: number): string {
  return `1${String(number).padStart(18, '0')}`;
}

/** `round` picks the segment; a removal is the same with the expiration -1. */
export function entryOf(number: number, round = 0, remove = false): PlainEntry {
  const block = { seg_id: 10_001 + round, value: 1, expiration: remove ? -1 : 1440 };
  return { user_id: userId(number), domain: null, seg_block: [block] };
}

/** One of many events of one user: each with another value, every seventh a removal. */
export function eventOf(number: number): PlainEntry {
  const block = { seg_id: 10_001, value: number, expiration: number % 7 === 6 ? -1 : 1440 };
  return { user_id: userId(1), domain: null, seg_block: [block] };
}

/** An entry as a row of a queue. */
export function rowOf(number: number) {
  return {
    lane: 'add' as const,
    userHash: (number * 2_654_435_761) % 2 ** 53,
    source,
    eventWallMs: 1_700_000_000_000,
    appendedWallMs: 1_700_000_000_000,
    body: JSON.stringify(entryOf(number)),
  };
}

export interface Feed {
  /** Number of the first user. */
  readonly first: number;
  readonly users: number;
  /** Each round gives every user one more segment. */
  readonly rounds: number;
  readonly perMessage: number;
}

/** Messages in the order in which they are handed over. */
export function* messagesOf({ first, users, rounds, perMessage }: Feed): Generator<PlainEntry[]> {
  for (let round = 0; round < rounds; round += 1) {
    for (let from = 0; from < users; from += perMessage) {
      const size = Math.min(perMessage, users - from);
      yield Array.from({ length: size }, (_, at) => entryOf(first + from + at, round));
    }
  }
}
