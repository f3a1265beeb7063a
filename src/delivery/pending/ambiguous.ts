// Ambiguous requests of one user: each ended without a reply from the service, may still run for a while, and
// may undo newer blocks that the service accepted meanwhile.
//
// For each segment and each kind of block only two requests count: the last one, and the last one before it
// with other content. Requests are recorded in the order in which they end, so the last may run longest.

import { coalescingKey, orderKind, type PendingBlock } from './pending-entry';

interface LastOfSegment {
  block: PendingBlock;
  sentExpired: boolean;
  untilMs: number;
  /** Until when a request with other blocks of the segment may run, or one that sent this block differently. */
  othersUntilMs: number;
}

export class AmbiguousRequests {
  /** Blocks that have ended since, and must be sent again when none of the requests can run any more. */
  readonly due: PendingBlock[] = [];
  /** Until when any of them may run. All times are monotonic ms. */
  untilMs = -Infinity;
  /** Until when a request may run whose blocks are unknown. */
  private unknownUntilMs = -Infinity;
  private readonly segments = new Map<string, LastOfSegment>();
  private kind: { readonly name: string; untilMs: number; readonly othersUntilMs: number } | null = null;

  /** Records a request with these blocks. */
  add(blocks: readonly PendingBlock[], untilMs: number): void {
    this.untilMs = Math.max(this.untilMs, untilMs);
    for (const block of blocks) {
      this.addToSegment(block, untilMs);
      this.addToKind(orderKind(block), untilMs);
    }
  }

  private addToSegment(block: PendingBlock, untilMs: number): void {
    const { sentExpired } = block;
    const key = coalescingKey(block);
    const last = this.segments.get(key);
    if (last === undefined) {
      this.segments.set(key, { block, sentExpired, untilMs, othersUntilMs: -Infinity });
      return;
    }
    if (last.block !== block || last.sentExpired !== sentExpired) {
      last.othersUntilMs = last.untilMs;
      last.block = block;
      last.sentExpired = sentExpired;
    }
    last.untilMs = untilMs;
  }

  private addToKind(name: string, untilMs: number): void {
    if (this.kind?.name === name) this.kind.untilMs = untilMs;
    else this.kind = { name, untilMs, othersUntilMs: this.kind?.untilMs ?? -Infinity };
  }

  /** Records a request whose blocks are unknown. */
  addUnknown(untilMs: number): void {
    this.unknownUntilMs = Math.max(this.unknownUntilMs, untilMs);
    this.untilMs = Math.max(this.untilMs, untilMs);
  }

  /** The machine slept for `forMs`: every request may run that much longer. */
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

  /** Whether an ambiguous request may undo `block`, which was sent at `sentMs` and accepted. */
  mayUndo(block: PendingBlock, sentMs: number): boolean {
    if (sentMs >= this.untilMs) return false;
    if (sentMs < this.unknownUntilMs) return true;
    const { kind } = this;
    if (kind !== null && sentMs < (kind.name === orderKind(block) ? kind.othersUntilMs : kind.untilMs))
      return true;
    const last = this.segments.get(coalescingKey(block));
    if (last === undefined) return false;
    const same = last.block === block && last.sentExpired === block.sentExpired;
    return sentMs < (same ? last.othersUntilMs : last.untilMs);
  }
}
