// Coalescing: the blocks of one user by segment. Each is linked to its neighbours of the same segment, so that newer blocks
// replace older ones without a look at all of them; changes are collected for the next merge.

import { coalescingKey, inOrder, orderKind, wake } from './pending-entry';
import type { PendingBlock, PendingEntry, SegmentBlocks } from './pending-entry';

/** Below this number of entries the search for covered ones is not worth its cost. */
const fewItems = 16;

export class Coalescing {
  /** Number of entries from which the search for covered ones is worth its cost. */
  coveredFrom = fewItems;
  private readonly segments = new Map<string, SegmentBlocks>();
  /** Kind of the first linked block, and whether blocks of other kinds were linked later. */
  private kind: string | null = null;
  private mixed = false;
  /** For the next merge: blocks that may have new neighbours. */
  private changed: PendingBlock[] = [];
  /** For the next merge: a waiting block may be older than an ended one. */
  private disturbed = true;

  /** Links a block to its neighbours of the same segment. */
  link(block: PendingBlock): void {
    const { segments } = this;
    const key = coalescingKey(block);
    let segment = segments.get(key);
    if (segment === undefined) {
      segment = { key, kind: orderKind(block), newest: null, latest: null };
      this.kind ??= segment.kind;
      if (this.kind !== segment.kind) this.mixed = true;
      segments.set(key, segment);
    }
    const { newest, latest } = segment;
    let older = newest !== null && inOrder(newest, block) < 0 ? newest : latest;
    let newer = older?.newer ?? null;
    while (newer !== null && inOrder(newer, block) < 0) {
      older = newer;
      newer = newer.newer;
    }
    while (older !== null && inOrder(older, block) > 0) {
      newer = older;
      older = older.older;
    }
    block.segment = segment;
    segment.latest = block;
    block.older = older;
    block.newer = newer;
    if (older !== null) older.newer = block;
    if (newer === null) segment.newest = block;
    else newer.older = block;
    this.changed.push(block);
  }

  unlink(block: PendingBlock): void {
    const { segment, older, newer } = block;
    if (segment === null) return;
    if (older !== null) older.newer = newer;
    if (newer !== null) newer.older = older;
    else segment.newest = older;
    if (segment.latest === block) segment.latest = newer ?? older;
    if (segment.newest === null) this.segments.delete(segment.key);
    block.segment = null;
    block.older = null;
    block.newer = null;
  }

  /** A linked block waits again, or has ended. */
  change(block: PendingBlock): void {
    if (block.segment !== null) this.changed.push(block);
  }

  /** A waiting block may be older than an ended one. */
  disturb(): void {
    this.disturbed = true;
  }

  /** Blocks that a rejected block had covered count again. */
  unlinkRejected(block: PendingBlock): void {
    const { older, newer } = block;
    this.unlink(block);
    if (older === null) return;
    this.changed.push(older);
    if (newer === null && older.state === 'ended') this.disturbed = true;
  }

  /** See `User.merge`. */
  merge(): readonly PendingBlock[] {
    const covered: PendingBlock[] = [];
    if (this.changed.length === 0 && !this.disturbed) return covered;
    this.mergeChanged(covered);
    if (this.disturbed && this.mixed) {
      this.wakeUndone();
      this.mergeChanged(covered);
    }
    this.disturbed = false;
    return covered;
  }

  private mergeChanged(covered: PendingBlock[]): void {
    const { changed } = this;
    this.changed = [];
    for (const block of changed) {
      while (this.mergePair(block.older, block, covered));
      this.mergePair(block, block.newer, covered);
    }
  }

  /** Merges two neighbours of one segment. Returns true when only the newer one is left. */
  private mergePair(
    older: PendingBlock | null,
    newer: PendingBlock | null,
    covered: PendingBlock[],
  ): boolean {
    if (older === null || newer === null) return false;
    if (older.state === 'waiting') this.absorb(older, newer, covered);
    // The newer block makes the older one redundant.
    else if (older.state === 'ended' && newer.state === 'ended') this.unlink(older);
    else return false;
    return true;
  }

  private absorb(older: PendingBlock, newer: PendingBlock, covered: PendingBlock[]): void {
    this.unlink(older);
    const all = older.absorbed ?? [];
    all.push(older);
    older.absorbed = null;
    if (newer.state !== 'ended') {
      older.state = 'absorbed';
      newer.absorbed = newer.absorbed === null ? all : joined(newer.absorbed, all);
      return;
    }
    // See `markDue`: what an ended entry covers need not be sent again.
    const due = newer.due && newer.entry.open > 0;
    for (const block of all) {
      block.due = due;
      block.state = 'ended';
      covered.push(block);
    }
  }

  /**
   * When an older block of another kind is about to be sent, newer blocks that were sent before it must be sent
   * again after it. The same holds for an ended block that a newer waiting block of its segment is about to
   * replace: if that newer block is rejected or deleted, no other block would repeat the state.
   */
  private wakeUndone(): void {
    const blocks: PendingBlock[] = [];
    for (const { newest } of this.segments.values()) {
      if (newest!.state !== 'ended' && newest!.older?.state === 'ended') blocks.push(newest!.older);
      blocks.push(newest!);
    }
    const waitingKinds = new Set<string>();
    for (const block of blocks.sort(inOrder)) {
      const { kind } = block.segment!;
      const undone = waitingKinds.size > (waitingKinds.has(kind) ? 1 : 0);
      if (block.state === 'ended' && undone) wake(block);
      if (block.state === 'waiting' && block.newer === null) waitingKinds.add(kind);
    }
  }

  /** Whether newer ended blocks repeat every effect of a settled entry. */
  covers(entry: PendingEntry): boolean {
    for (const block of entry.blocks) {
      if (block.rejected) continue;
      const newest = this.segments.get(block.segment?.key ?? coalescingKey(block))?.newest;
      if (newest?.state !== 'ended' || newest.entry.open > 0 || inOrder(newest, block) <= 0) return false;
    }
    return true;
  }

  /** The search for covered entries left so many. */
  searched(left: number): void {
    this.coveredFrom = 2 * left + fewItems;
  }
}

/** Merges two lists without copying the longer one. The newest block is last. */
function joined(one: PendingBlock[], other: PendingBlock[]): PendingBlock[] {
  const [long, short] = one.length < other.length ? [other, one] : [one, other];
  const newest = long.at(-1)!;
  const at = long.length - 1;
  for (const block of short) long.push(block);
  const last = long.at(-1)!;
  if (inOrder(newest, last) > 0) {
    long[at] = last;
    long[long.length - 1] = newest;
  }
  return long;
}
