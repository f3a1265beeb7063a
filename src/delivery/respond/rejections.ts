// What was rejected, and why: a count for each code, and the last of the entries, for an operator to look at or save.

import { boundedJson } from '../../entry/bounded-json';
import type { CheckedEntry } from '../../entry/entry';
import { shorten } from '../../entry/shorten';
import { entryBody } from '../../entry/serialise';
import { safeWords } from '../../service/reply/quote';
import { Fifo } from '../pending/fifo';

/** The last so many entries are kept, and of them no more characters than this. */
const mostKept = 1_000;
const mostChars = 2_000_000;
/** Of one that is no entry. */
const mostEntryChars = 10_000;

/** One rejected entry as it is exported. */
export interface Rejected {
  /** Epoch ms. */
  readonly atMs: number;
  readonly node: string;
  readonly code: string;
  readonly message: string;
  /** In the service's own form; as it came, when it was no such entry. */
  readonly entry: unknown;
}

/** As it came in a message. */
export type Invalid = Pick<Rejected, 'code' | 'message' | 'entry'>;

interface Kept extends Omit<Rejected, 'entry'> {
  /** JSON. */
  readonly text: string;
  /** By which users are erased; null for what was no entry. */
  readonly userKey: string | null;
}

export class Rejections {
  private readonly counts = new Map<string, number>();
  private kept = new Fifo<Kept>();
  private chars = 0;

  /** Rejected after it was taken: by the service, or since it was given up (which is counted, not kept). */
  add(
    atMs: number,
    node: string,
    code: string,
    message: string,
    entry: CheckedEntry,
    isDeleted: boolean,
  ): void {
    this.count(code);
    if (isDeleted) return;
    this.keep({ atMs, node, code, message, text: entryBody(entry), userKey: entry.userKey });
  }

  /** Rejected before they were taken: they are no entries. */
  addInvalid(atMs: number, node: string, rejected: readonly Invalid[]): void {
    for (const { code } of rejected) this.count(code);
    for (const { code, message, entry } of rejected.slice(-mostKept))
      this.keep({ atMs, node, code, message, text: textOf(entry), userKey: null });
  }

  private count(code: string): void {
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
  }

  private keep(one: Kept): void {
    this.kept.push(one);
    this.chars += one.text.length;
    while (this.kept.size > mostKept || (this.chars > mostChars && this.kept.size > 1))
      this.chars -= this.kept.shift()!.text.length;
  }

  /** How many, by code; of all since the start. */
  byCode(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counts);
  }

  /** The last ones, oldest first. */
  last(): Rejected[] {
    return [...this.kept].map(({ text, atMs, node, code, message }) => {
      return { atMs, node, code, message, entry: JSON.parse(text) as unknown };
    });
  }

  get size(): number {
    return this.kept.size;
  }

  /** Forgets what speaks of a user, also in the words of the service. */
  forget(userKeys: readonly string[], userId: string): void {
    const named = mentions(userId);
    const before = this.kept;
    this.kept = new Fifo();
    this.chars = 0;
    for (const one of before) {
      const { userKey, text, message } = one;
      const isTheirs = userKey === null ? named(text) : userKeys.includes(userKey);
      if (!isTheirs && !named(message)) this.keep(one);
    }
  }
}

/**
 * Whether a text names a user, as a word of its own: an id may be part of a longer one. Entries have it as JSON does, and
 * sentences as `shorten` or `safeWords` does.
 */
export function mentions(userId: string): (text: string) => boolean {
  const json = JSON.stringify(userId).slice(1, -1);
  const forms = new Set([userId, json, shorten(userId), safeWords(userId)]);
  const written = [...forms].filter((form) => form !== '');
  const ids = written.map((form) => form.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const word = new RegExp(`(?<![\\w-])(?:${ids.join('|')})(?![\\w-])`);
  return (text) => word.test(text.toLowerCase());
}

/** Entries from a flow may hold anything; one that is too large or is not JSON is named, not kept. */
function textOf(entry: unknown): string {
  try {
    return boundedJson(entry, mostEntryChars) ?? JSON.stringify(shorten(entry));
  } catch {
    return '"?"';
  }
}
