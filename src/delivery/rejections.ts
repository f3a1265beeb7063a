// What was rejected, and why: a count for each code, and the last of the entries, for an operator to look at or save.

import type { CheckedEntry } from '../audience/entry';
import { entryBody } from '../audience/serialise';

/** The last so many entries are kept, and of them no more characters than this. */
const mostKept = 1_000;
const mostChars = 2_000_000;

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

interface Kept extends Omit<Rejected, 'entry'> {
  /** JSON. */
  readonly text: string;
  /** By which users are erased; null for what was no entry. */
  readonly userKey: string | null;
}

export class Rejections {
  private readonly counts = new Map<string, number>();
  private kept: Kept[] = [];
  private chars = 0;

  /** Rejected after it was taken: by the service, or since it was given up (which is counted, not kept). */
  add(
    atMs: number,
    node: string,
    code: string,
    message: string,
    entry: CheckedEntry,
    isDismissed: boolean,
  ): void {
    this.count(code);
    if (isDismissed) return;
    this.keep({ atMs, node, code, message, text: entryBody(entry), userKey: entry.userKey });
  }

  /** Rejected before it was taken: it is no entry. */
  addInvalid(atMs: number, node: string, code: string, message: string, entry: unknown): void {
    this.count(code);
    this.keep({ atMs, node, code, message, text: textOf(entry), userKey: null });
  }

  private count(code: string): void {
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
  }

  private keep(one: Kept): void {
    this.kept.push(one);
    this.chars += one.text.length;
    if (this.kept.length <= mostKept && this.chars <= mostChars) return;
    let drop = 0;
    while (drop < this.kept.length - 1 && (this.kept.length - drop > mostKept || this.chars > mostChars)) {
      this.chars -= this.kept[drop]!.text.length;
      drop += 1;
    }
    this.kept.splice(0, drop);
  }

  /** How many, by code; of all since the start. */
  byCode(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counts);
  }

  /** The last ones, oldest first. */
  last(): Rejected[] {
    return this.kept.map(({ text, atMs, node, code, message }) => {
      return { atMs, node, code, message, entry: JSON.parse(text) as unknown };
    });
  }

  get size(): number {
    return this.kept.length;
  }

  /** Forgets what speaks of a user, also in the words of the service. */
  forget(userKeys: readonly string[], userId: string): void {
    const named = mentions(userId);
    this.kept = this.kept.filter(
      ({ userKey, text, message }) =>
        !(userKey === null ? named(text) : userKeys.includes(userKey)) && !named(message),
    );
    this.chars = this.kept.reduce((sum, { text }) => sum + text.length, 0);
  }
}

/** Whether a text names a user, as a word of its own: an id may be part of a longer one. */
export function mentions(userId: string): (text: string) => boolean {
  const id = userId.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const word = new RegExp(`(?<![\\w-])${id}(?![\\w-])`);
  return (text) => word.test(text.toLowerCase());
}

/** Entries from a flow may hold anything; one that is too large or is not JSON is named, not kept. */
function textOf(entry: unknown): string {
  try {
    const text = JSON.stringify(entry) as string | undefined;
    if (text === undefined) return JSON.stringify(String(entry));
    return text.length <= 10_000 ? text : JSON.stringify(`${text.slice(0, 200)}…`);
  } catch {
    return '"?"';
  }
}
