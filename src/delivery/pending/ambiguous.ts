// A user's requests that ended without a reply of the service's own: each may still run for a while, and undo what
// was accepted meanwhile.
//
// Of each segment and of each kind only the last request counts, and the last before it that held something else:
// requests are noted in the order in which they end, so the last may run longest.

import { cellKey, orderKind, type Cell } from './item';

interface LastOfSegment {
  cell: Cell;
  sentExpired: boolean;
  untilMs: number;
  /** Until when any other block of the segment may come, or this one as it was not sent last. */
  othersUntilMs: number;
}

export class AmbiguousRequests {
  /** Until when any of them may run; all times are monotonic ms. */
  untilMs = -Infinity;
  /** Until when one may run of which only the user is known. */
  private unknownUntilMs = -Infinity;
  private readonly segments = new Map<string, LastOfSegment>();
  private kind: { readonly name: string; untilMs: number; readonly othersUntilMs: number } | null = null;

  /** Such a request held these blocks. */
  add(cells: readonly Cell[], untilMs: number): void {
    this.untilMs = Math.max(this.untilMs, untilMs);
    for (const cell of cells) {
      this.addToSegment(cell, untilMs);
      this.addToKind(orderKind(cell), untilMs);
    }
  }

  private addToSegment(cell: Cell, untilMs: number): void {
    const { sentExpired } = cell;
    const key = cellKey(cell);
    const last = this.segments.get(key);
    if (last === undefined) {
      this.segments.set(key, { cell, sentExpired, untilMs, othersUntilMs: -Infinity });
      return;
    }
    if (last.cell !== cell || last.sentExpired !== sentExpired) {
      last.othersUntilMs = last.untilMs;
      last.cell = cell;
      last.sentExpired = sentExpired;
    }
    last.untilMs = untilMs;
  }

  private addToKind(name: string, untilMs: number): void {
    if (this.kind?.name === name) this.kind.untilMs = untilMs;
    else this.kind = { name, untilMs, othersUntilMs: this.kind?.untilMs ?? -Infinity };
  }

  /** Nothing is known of such a request but its user. */
  addUnknown(untilMs: number): void {
    this.unknownUntilMs = Math.max(this.unknownUntilMs, untilMs);
    this.untilMs = Math.max(this.untilMs, untilMs);
  }

  /** The machine slept: all of them may run for so much longer. */
  slept(forMs: number): void {
    this.untilMs += forMs;
    this.unknownUntilMs += forMs;
    const { kind } = this;
    if (kind !== null)
      this.kind = { ...kind, untilMs: kind.untilMs + forMs, othersUntilMs: kind.othersUntilMs + forMs };
    for (const last of this.segments.values()) {
      last.untilMs += forMs;
      last.othersUntilMs += forMs;
    }
  }

  /** Whether one of them may undo `cell`, which was sent at `sentMs` and accepted. */
  mayUndo(cell: Cell, sentMs: number): boolean {
    if (sentMs >= this.untilMs) return false;
    if (sentMs < this.unknownUntilMs) return true;
    const { kind } = this;
    if (kind !== null && sentMs < (kind.name === orderKind(cell) ? kind.othersUntilMs : kind.untilMs))
      return true;
    const last = this.segments.get(cellKey(cell));
    if (last === undefined) return false;
    const same = last.cell === cell && last.sentExpired === cell.sentExpired;
    return sentMs < (same ? last.othersUntilMs : last.untilMs);
  }
}
