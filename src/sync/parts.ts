// Parts of an audience that comes in several messages, as split, csv, file in and database nodes of Node-RED number them.
//
// - `parts.id` names the audience, `parts.index` counts from 0; `parts.count` is there in each message (split) or in the last
//   one (file in). A csv node behind file in makes NaN of a count that is missing, and keeps the index of a line.
// - `complete` ends an audience, whatever was counted: csv sets it in its last row, or sends it alone, without parts, when the
//   last line of a file is empty. It also leaves out empty lines.

import { isObject } from '../entry/check';

export interface Part {
  /** Null: of the audience that is being gathered. */
  readonly id: string | null;
  readonly index: number | null;
  /** Null until it is known. */
  readonly count: number | null;
  /** Nothing comes after it. */
  readonly complete: boolean;
}

/** Null for a message that is a whole audience by itself. */
export function readPart(message: Readonly<Record<string, unknown>>): Part | null {
  const { parts, complete } = message;
  const isPart = isObject(parts) && (typeof parts.id === 'string' || typeof parts.id === 'number');
  if (!isPart && complete === undefined) return null;
  const isComplete = complete !== undefined && complete !== null && complete !== false;
  if (!isPart) return { id: null, index: null, count: null, complete: isComplete };
  return {
    id: String(parts.id),
    index: wholeNumber(parts.index),
    count: wholeNumber(parts.count),
    complete: isComplete,
  };
}

function wholeNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** Indexes that may be ahead of a missing one, which bounds the memory. */
const mostAhead = 1_000_000;

/** Which parts of one audience have arrived. */
export class Parts {
  private count: number | null = null;
  private declaredComplete = false;
  /** Every part below this index has arrived. */
  private below = 0;
  private readonly ahead = new Set<number>();

  /** Whether the source has begun anew: its first part comes a second time. */
  repeatsFirst({ index }: Part): boolean {
    return index === 0 && this.below > 0;
  }

  add({ index, count, complete }: Part): void {
    this.count ??= count;
    if (complete) this.declaredComplete = true;
    if (index === null || index < this.below) return;
    if (this.ahead.size < mostAhead) this.ahead.add(index);
    while (this.ahead.delete(this.below)) this.below += 1;
  }

  /** Whether this was the last part. */
  get ended(): boolean {
    return this.declaredComplete || (this.count !== null && this.below >= this.count);
  }

  /** Parts that are missing before the last one that has arrived. */
  get missing(): number {
    let last = this.below - 1;
    for (const index of this.ahead) if (index > last) last = index;
    return last + 1 - this.below - this.ahead.size;
  }
}

/** Names of audiences that are over, so that their late parts do not open a new run. */
export class OverAudiences {
  private readonly ids = new Map<string, 'ended' | 'replaced'>();
  /** Ends without a name that replaced audiences may still send: they end no other audience. */
  private openEnds = 0;

  add(id: string | null, how: 'ended' | 'replaced'): void {
    if (id === null) return;
    this.ids.delete(id);
    this.ids.set(id, how);
    const [oldest] = this.ids.keys();
    if (this.ids.size > mostOver) this.ids.delete(oldest!);
  }

  forget(id: string | null): void {
    if (id !== null) this.ids.delete(id);
  }

  /** The next audience came before the end of one with this name. */
  mayEndLate(id: string | null): void {
    if (id !== null) this.openEnds += 1;
  }

  /** No end is to come any more, as after an error of the source, or long without a part. */
  noneEndsLate(): void {
    this.openEnds = 0;
  }

  /** Call it once for each part. A source may use one name again once the audience has ended: its first part then opens a run. */
  isLate({ id, index, complete }: Part): boolean {
    const how = id === null ? undefined : this.ids.get(id);
    if (complete && (id === null || how === 'replaced') && this.openEnds > 0) {
      this.openEnds -= 1;
      return true;
    }
    return how === 'replaced' || (how === 'ended' && index !== null && index > 0);
  }
}

const mostOver = 100;
