// Rejections: a count for each code, and the last rejected entries, for an operator to view or save.

import { boundedJson } from '../../entry/bounded-json';
import type { CheckedEntry } from '../../entry/entry';
import { shorten } from '../../entry/shorten';
import { safeWords } from '../../service/reply/quote';
import { Fifo } from '../pending/fifo';

/** Limits on the kept entries, and on their characters. */
const mostKept = 1_000;
const mostChars = 2_000_000;
/** Limit on an invalid entry. */
const mostEntryChars = 10_000;

/** A rejected entry as it is exported. */
export interface Rejected {
  /** Epoch ms. */
  readonly atMs: number;
  readonly node: string;
  readonly code: string;
  readonly message: string;
  /** In the service's format; an invalid entry as it was received. */
  readonly entry: unknown;
}

/** As received in a message. */
export type Invalid = Pick<Rejected, 'code' | 'message' | 'entry'>;

interface Kept extends Omit<Rejected, 'entry'> {
  /** JSON. */
  readonly text: string;
  /** Key by which erasures find it; null for an invalid entry. */
  readonly userKey: string | null;
}

export class Rejections {
  private readonly counts = new Map<string, number>();
  private kept = new Fifo<Kept>();
  private chars = 0;

  /**
   * Adds an entry that was rejected after it was queued: by the service, or by a deletion (which is counted,
   * not kept).
   */
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
    this.keep({ atMs, node, code, message, text: entry.body, userKey: entry.userKey });
  }

  /** Adds invalid entries, which were rejected before they were queued. */
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

  /** Number of rejections since the start, by code. */
  byCode(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counts);
  }

  /** The last rejected entries, oldest first. */
  last(): Rejected[] {
    return [...this.kept].map(exported);
  }

  /** The last one with this code; null if none is kept. */
  lastOf(code: string): Rejected | null {
    const last = [...this.kept].findLast((one) => one.code === code);
    return last === undefined ? null : exported(last);
  }

  get size(): number {
    return this.kept.size;
  }

  /** Removes entries and messages that mention a user. */
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

function exported({ text, atMs, node, code, message }: Kept): Rejected {
  return { atMs, node, code, message, entry: JSON.parse(text) as unknown };
}

/**
 * Returns a function that tells whether a text mentions a user id as a whole word, because an id may be part of
 * a longer one. Entries contain ids as JSON, sentences as `shorten` or `safeWords` writes them.
 */
export function mentions(userId: string): (text: string) => boolean {
  const json = JSON.stringify(userId).slice(1, -1);
  const forms = new Set([userId, json, shorten(userId), safeWords(userId)]);
  const written = [...forms].filter((form) => form !== '');
  const ids = written.map((form) => form.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const word = new RegExp(`(?<![\\w-])(?:${ids.join('|')})(?![\\w-])`);
  return (text) => word.test(text.toLowerCase());
}

/**
 * Entries from a flow may hold anything; an entry that is too large or not JSON is replaced by a short text.
 */
function textOf(entry: unknown): string {
  try {
    return boundedJson(entry, mostEntryChars) ?? JSON.stringify(shorten(entry));
  } catch {
    return '"?"';
  }
}
