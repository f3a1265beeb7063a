// Waiting blocks of one user, in lists by account and sort, and which of them may be sent next.

import { inOrder, sentExpiration, type PendingBlock } from './pending-entry';
import { PendingBlocks } from './pending-blocks';

/** Blocks for one user in one request. */
export interface Selection {
  readonly blocks: readonly PendingBlock[];
  readonly account: string;
}

/** Tells whether a block must wait although no other block of its user is in the way. */
export type Held = (block: PendingBlock) => boolean;

export const nobody: Held = () => false;

/** Waiting blocks of one kind and spelling with no block of another kind before them. */
interface Run {
  /** The lists that hold them, in the order of their first blocks. */
  readonly queues: readonly PendingBlocks[];
  /** The first block after the run. */
  readonly end: PendingBlock | null;
}

/** When more blocks wait than a request takes, candidates are this many times the limit. */
const lookAhead = 2;

export class WaitingBlocks {
  private readonly queues: PendingBlocks[] = [];

  add(block: PendingBlock): void {
    this.queueOf(block).add(block);
  }

  private queueOf({ entry, segBlock, refusedAtMs }: PendingBlock): PendingBlocks {
    const { account } = entry.source;
    const removes = segBlock.expiration === -1;
    const refused = refusedAtMs !== null;
    for (const queue of this.queues) {
      const { sort } = queue;
      if (sort.account === account && sort.removes === removes && sort.refused === refused) return queue;
    }
    const queue = new PendingBlocks({ account, removes, refused });
    this.queues.push(queue);
    return queue;
  }

  clear(): void {
    for (const queue of this.queues) queue.clear();
  }

  /** See `User.select`. */
  select(
    most: number,
    login: (account: string) => string | null,
    nowMonoMs: number,
    held: Held,
  ): Selection | null {
    const { queues, end } = this.firstRun();
    const holds = this.holdsNow(held, end);
    let account: string | null = null;
    let blocks: PendingBlock[] = [];
    for (const queue of queues) {
      const its = login(queue.sort.account);
      if (its === null || its !== (account ?? its)) continue;
      const found = candidates(queue, end, holds, most);
      if (found.length === 0) continue;
      account = its;
      blocks = blocks.length === 0 ? found : [...blocks, ...found].sort(inOrder);
    }
    if (account === null) return null;
    if (blocks.length > most) {
      // Blocks that were not refused go first, so that a refused block does not delay them.
      const places: PendingBlock[][] = [[], [], [], []];
      for (const block of blocks) {
        const removes = sentExpiration(block, nowMonoMs) === -1;
        places[(block.refusedAtMs === null ? 0 : 2) + (removes ? 0 : 1)]!.push(block);
      }
      blocks = places.flat().slice(0, most);
    }
    return { blocks, account };
  }

  /** Accounts of the blocks that the next request may take. */
  nextAccounts(held: Held): readonly string[] {
    const { queues, end } = this.firstRun();
    const holds = this.holdsNow(held, end);
    const free = queues.filter((queue) => holds === nobody || candidates(queue, end, holds, 1).length > 0);
    return [...new Set(free.map(({ sort }) => sort.account))];
  }

  /** Minimum of `until` over the blocks that may be sent next. Needs at least one waiting block. */
  freeAtMs(until: (block: PendingBlock) => number): number {
    const { queues, end } = this.firstRun();
    if (this.removalBehind(end)) return -Infinity;
    let freeAtMs = Infinity;
    for (const queue of queues) {
      for (const block of queue.before(end)) {
        freeAtMs = Math.min(freeAtMs, until(block));
        if (freeAtMs === -Infinity) return freeAtMs;
      }
    }
    return freeAtMs;
  }

  private firstRun(): Run {
    const waiting = this.queues.filter(({ first }) => first !== null);
    if (waiting.length > 1) waiting.sort((a, b) => inOrder(a.first!, b.first!));
    const kind = waiting[0]?.first?.segment?.kind;
    let end: PendingBlock | null = null;
    for (const queue of waiting) {
      const { first } = queue;
      const other = first!.segment!.kind === kind ? queue.firstOfAnotherKind : first;
      if (other !== null && (end === null || inOrder(other, end) < 0)) end = other;
    }
    return { queues: waiting.filter(({ first }) => end === null || inOrder(first!, end) < 0), end };
  }

  private holdsNow(held: Held, end: PendingBlock | null): Held {
    return held !== nobody && this.removalBehind(end) ? nobody : held;
  }

  /**
   * Whether a removal waits behind blocks of another kind. It may concern the same segment as a held add, so it
   * cannot overtake that add, and it must not wait for the warm-up.
   */
  private removalBehind(end: PendingBlock | null): boolean {
    if (end === null) return false;
    return this.queues.some(({ sort, last }) => sort.removes && last !== null && inOrder(last, end) >= 0);
  }

  /** Blocks of the entries up to a sequence number. */
  through(seq: number): readonly PendingBlock[] {
    const blocks: PendingBlock[] = [];
    for (const queue of this.queues) {
      for (const block of queue.before(null)) {
        if (block.entry.seq > seq) break;
        blocks.push(block);
      }
    }
    return blocks;
  }

  adds(): readonly PendingBlock[] {
    return this.queues.filter(({ sort }) => !sort.removes).flatMap((queue) => [...queue.before(null)]);
  }
}

/** Blocks of a list that may be sent next; at most `most * lookAhead` of them. */
function candidates(
  queue: PendingBlocks,
  end: PendingBlock | null,
  held: Held,
  most: number,
): PendingBlock[] {
  const found: PendingBlock[] = [];
  for (const block of queue.before(end)) {
    if (held(block)) continue;
    found.push(block);
    if (found.length >= most * lookAhead) break;
  }
  return found;
}
