// Messages that wait for the outcome of their entries, and how both end.

import type { CheckedEntry } from '../entry/entry';

export type EntryEnd = 'accepted' | 'superseded' | 'expired' | 'rejected';

/** A late outcome: an entry whose message had already ended. */
export interface Recovered {
  readonly entry: CheckedEntry;
  readonly end: EntryEnd;
  readonly rejection: { readonly code: string; readonly message: string } | null;
}

/** What has become of the blocks of an entry, which determines how it ended. */
export interface Ending {
  readonly rejection: Recovered['rejection'];
  /** `expired` when any block was sent after its expiration had passed, `none` when no block was accepted. */
  readonly effect: 'none' | 'accepted' | 'expired';
  readonly warnings: readonly string[] | null;
}

export function endOf({ rejection, effect }: Ending): EntryEnd {
  if (rejection !== null) return 'rejected';
  return effect === 'none' ? 'superseded' : effect;
}

/** What became of a message's entries; counts of entries, except `associations` (user–segment pairs). */
export interface Summary {
  readonly entries: number;
  /** Distinct users named. */
  readonly users: number;
  readonly associations: number;
  readonly accepted: number;
  readonly superseded: number;
  readonly expired: number;
  /** Warnings that the service attached to accepted entries. */
  readonly warnings: readonly string[];
}

export interface Rejection {
  /** Position in the input. */
  readonly index: number;
  readonly code: string;
  /** English, or the service's own words; safe to show. */
  readonly message: string;
}

/** How a message ends. Called exactly once. */
export type MessageEnd =
  /** Every entry has ended. */
  | { readonly kind: 'settled'; readonly summary: Summary; readonly rejections: readonly Rejection[] }
  /** Durably queued; whatever else comes of it leaves as `recovered`. */
  | {
      readonly kind: 'queued';
      readonly summary: Summary;
      readonly rejections: readonly Rejection[];
      readonly reason: QueuedReason;
    }
  /** Not taken, or discarded: `code` is stable. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly params: Params }
  /** The node closes; the entries stay in the durable queue. */
  | { readonly kind: 'parked' };

/**
 * `lateOutcomes`: the message ends before its outcomes are known. Its entries are in this machine's buffer, since the database of
 * the shared queue could not be reached, or another instance reports their outcomes.
 */
export type QueuedReason = 'asked' | 'tooManyOpen' | 'lateOutcomes';

type Params = Readonly<Record<string, string | number>>;

export const closedEnd = {
  kind: 'failed',
  code: 'closed',
  params: {},
  message: 'The flow was stopped before this message could be delivered.',
} as const satisfies MessageEnd;

/** A message tells of no more warnings than that. */
export const mostWarnings = 10;

const ignore = (): void => undefined;

/** Numbers begin at 1. */
const unnumbered = -1;
const firstPlace = 0;

/** Entries of a message whose numbers follow each other. */
interface Span {
  readonly pendingMessage: PendingMessage;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Of the first of them, among the message's entries. */
  readonly place: number;
}

/** What has become of a message's entries. */
class Tally {
  accepted = 0;
  superseded = 0;
  expired = 0;
  rejections: Rejection[] | null = null;
  warnings: readonly string[] = none;
}

const none: readonly never[] = [];
const nothingEnded = new Tally();

/** One message on its way, and the span of its first entries: usually of all. */
export class PendingMessage implements Span {
  firstSeq = unnumbered;
  lastSeq = unnumbered;
  /** Further spans, in order: of a message that takes several batches of a shared log. */
  private more: Span[] | null = null;
  private users = 0;
  private associations = 0;
  private open: number;
  /** Null while none has ended, so that a message that waits stays small. */
  private tally: Tally | null = null;

  constructor(
    readonly node: string,
    private readonly entries: number,
    /** Position in the input of each entry handed in, null when they are the same. */
    private readonly indexes: readonly number[] | null,
    private onEnd: (end: MessageEnd) => void,
  ) {
    this.open = entries;
  }

  get pendingMessage(): this {
    return this;
  }

  get place(): number {
    return firstPlace;
  }

  /** Whether any of its entries has a number, by which outcomes find it. */
  get isNumbered(): boolean {
    return this.firstSeq !== unnumbered;
  }

  get isOpen(): boolean {
    return this.onEnd !== ignore;
  }

  /** Further entries of it are taken: how many users it names so far, and associations of these entries. */
  took(users: number, associations: number): void {
    this.users = users;
    this.associations += associations;
  }

  /** The next so many of its entries got the numbers from `firstSeq` on. */
  numbered(firstSeq: number, entries: number): Span {
    const lastSeq = firstSeq + entries - 1;
    if (!this.isNumbered) {
      this.firstSeq = firstSeq;
      this.lastSeq = lastSeq;
      return this;
    }
    const before = this.more?.at(-1) ?? this;
    const place = before.place + before.lastSeq - before.firstSeq + 1;
    const span = { pendingMessage: this, firstSeq, lastSeq, place };
    this.more ??= [];
    this.more.push(span);
    return span;
  }

  /** Position of the entry with this number in its message. */
  private placeOf(seq: number): number {
    const span = seq <= this.lastSeq ? this : spanOf(this.more!, seq)!;
    return span.place + seq - span.firstSeq;
  }

  /** One of its entries has ended. True when it was the last. */
  entryEnded(seq: number, ending: Ending): boolean {
    const { rejection, warnings } = ending;
    const tally = (this.tally ??= new Tally());
    const end = endOf(ending);
    if (end !== 'rejected') tally[end] += 1;
    if (rejection !== null) (tally.rejections ??= []).push({ index: this.indexOf(seq), ...rejection });
    if (warnings !== null && tally.warnings.length < mostWarnings)
      tally.warnings = [...tally.warnings, ...warnings];
    this.open -= 1;
    if (this.open > 0) return false;
    const rejections = tally.rejections ?? [];
    const discarded = rejections.length === this.entries;
    if (discarded && rejections.every(({ code }) => code === closedEnd.code)) this.end(closedEnd);
    else this.end({ kind: 'settled', summary: this.summary(), rejections });
    return true;
  }

  /** Position in the input of the entry with this number. */
  private indexOf(seq: number): number {
    const place = this.placeOf(seq);
    return this.indexes?.[place] ?? place;
  }

  endQueued(reason: QueuedReason): void {
    this.end({ kind: 'queued', summary: this.summary(), rejections: this.tally?.rejections ?? none, reason });
  }

  /** Nothing further is reported to it. */
  end(end: MessageEnd): void {
    const tell = this.onEnd;
    // They are kept for a while; they must not keep their messages.
    this.onEnd = ignore;
    tell(end);
  }

  private summary(): Summary {
    const { entries, users, associations } = this;
    const { accepted, superseded, expired, warnings: all } = this.tally ?? nothingEnded;
    const warnings = all.length === 0 ? [] : [...new Set(all)].slice(0, mostWarnings);
    return { entries, users, associations, accepted, superseded, expired, warnings };
  }
}

/** The pending messages, found by the number of an entry that was read back from the log. */
export class PendingMessages {
  private spans: Span[] = [];
  private compactAt = 2_048;
  /** How many have a number and have not ended. */
  open = 0;
  /** Their nodes have closed, and not all of their entries are stored yet. */
  private readonly closing = new Set<PendingMessage>();

  /** So many may wait for an outcome; a message beyond ends once it is stored. */
  constructor(readonly most: number) {}

  get areFull(): boolean {
    return this.open >= this.most;
  }

  /** The next so many entries of a message have numbers from `firstSeq` on. They come in order of their numbers. */
  add(pendingMessage: PendingMessage, firstSeq: number, entries: number): void {
    const span = pendingMessage.numbered(firstSeq, entries);
    if (span.place === 0) this.open += 1;
    this.spans.push(span);
    if (this.spans.length < this.compactAt) return;
    this.spans = this.spans.filter((span) => span.pendingMessage.isOpen);
    this.compactAt = Math.max(2_048, 2 * this.spans.length);
  }

  /** An outcome of one of its entries. */
  entryEnded(message: PendingMessage, seq: number, ending: Ending): void {
    if (message.entryEnded(seq, ending)) this.open -= 1;
  }

  /** All of its entries are stored. `hasLateOutcomes`: see `QueuedReason`. */
  stored(message: PendingMessage, completeOn: 'accepted' | 'queued', hasLateOutcomes = false): void {
    if (this.closing.has(message)) this.end(message, { kind: 'parked' });
    else if (hasLateOutcomes) this.endQueued(message, 'lateOutcomes');
    else if (completeOn === 'queued') this.endQueued(message, 'asked');
    else if (this.open > this.most) this.endQueued(message, 'tooManyOpen');
  }

  /** Ends a message early; nothing further is reported to it. */
  end(message: PendingMessage, end: Extract<MessageEnd, { kind: 'parked' | 'failed' }>): void {
    this.closing.delete(message);
    this.ends(message);
    message.end(end);
  }

  private endQueued(message: PendingMessage, reason: QueuedReason): void {
    this.ends(message);
    message.endQueued(reason);
  }

  private ends(message: PendingMessage): void {
    if (message.isOpen && message.isNumbered) this.open -= 1;
  }

  /** Another instance reports the outcomes of the stored entries. All messages end except the `unstored`. */
  endAllQueued(unstored: ReadonlySet<PendingMessage>): void {
    for (const message of this.openOf(null))
      if (!unstored.has(message)) this.endQueued(message, 'lateOutcomes');
  }

  /** A node closes: its messages end, those of which something is `unstored` once all is stored. */
  closeNode(
    node: string,
    unstored: Iterable<PendingMessage>,
    end: Parameters<PendingMessages['end']>[1] = { kind: 'parked' },
  ): void {
    for (const message of unstored) if (message.node === node) this.closing.add(message);
    for (const message of this.openOf(node)) if (!this.closing.has(message)) this.end(message, end);
  }

  /** The pending message whose entries include `seq`, or null. */
  find(seq: number): PendingMessage | null {
    const pendingMessage = spanOf(this.spans, seq)?.pendingMessage;
    return pendingMessage?.isOpen === true ? pendingMessage : null;
  }

  /** Of one node, or of all (null). */
  private openOf(node: string | null): Iterable<PendingMessage> {
    const open = this.spans.filter(
      ({ pendingMessage: { isOpen, node: its } }) => isOpen && (node === null || its === node),
    );
    return new Set(open.map(({ pendingMessage }) => pendingMessage));
  }
}

function spanOf(spans: readonly Span[], seq: number): Span | undefined {
  let low = 0;
  let high = spans.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const span = spans[middle]!;
    if (seq < span.firstSeq) high = middle - 1;
    else if (seq > span.lastSeq) low = middle + 1;
    else return span;
  }
  return undefined;
}
