// Warm-ups of new segments: adds to these segments wait; removals and other blocks do not.

import type { QueueStore } from '../../queue/store';
import type { Clock } from '../../clock';
import { sentExpiration, type PendingBlock } from './pending-entry';

/** Part of the store: never change it. */
const keptKey = 'new segments';

/** Message for the log. */
export const tooManyHeldText =
  'Too many entries wait for new segments: they are sent without waiting any longer.';

export class WarmUps {
  /** Epoch ms by the block's key, for each node that asked. */
  private asked = new Map<string, ReadonlyMap<string, number>>();
  /** Monotonic ms by the block's key. */
  private readonly until = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  get any(): boolean {
    return this.until.size > 0;
  }

  /**
   * Monotonic ms before which a block may not be sent; -Infinity if it may be sent now. A removal never waits.
   */
  untilMs(block: PendingBlock, nowMs: number): number {
    const untilMs = this.until.get(block.segBlock.key) ?? -Infinity;
    return untilMs > nowMs && sentExpiration(block, nowMs) !== -1 ? untilMs : -Infinity;
  }

  /**
   * Replaces what the node `owner` asked for before, also in an earlier process. `untils`: epoch ms by the
   * block's key. Returns whether anything has changed.
   */
  ask(owner: string, untils: ReadonlyMap<string, number>): boolean {
    const before = this.asked.get(owner);
    this.asked.set(owner, untils);
    if (untils.size === 0 && (before?.size ?? 0) === 0) return false;
    this.reckon();
    return true;
  }

  clear(): void {
    this.asked.clear();
    this.reckon();
  }

  private reckon(): void {
    const aheadMs = this.clock.monoMs() - this.clock.wallMs();
    const nowMs = this.clock.monoMs();
    this.until.clear();
    for (const untils of this.asked.values()) {
      for (const [key, wallMs] of untils) {
        const untilMs = Math.max(wallMs + aheadMs, this.until.get(key) ?? -Infinity);
        if (untilMs > nowMs) this.until.set(key, untilMs);
      }
    }
  }

  /** Removes warm-ups that have ended. */
  forgetOver(nowMs: number): void {
    for (const [key, untilMs] of this.until) if (untilMs <= nowMs) this.until.delete(key);
  }

  // ── Across restarts ─────────────────────────────────────────────────────────────────────────────────────────

  /** Rejects as the store does. */
  save(store: QueueStore): Promise<void> {
    const plain = [...this.asked]
      .filter(([, untils]) => untils.size > 0)
      .map(([owner, untils]) => [owner, [...untils]]);
    return store.setMeta(keptKey, JSON.stringify(plain));
  }

  /** Loads the warm-ups of an earlier process; they hold until their nodes ask again. */
  async load(store: QueueStore): Promise<void> {
    const text = await store.getMeta(keptKey);
    for (const [owner, untils] of parse(text)) if (!this.asked.has(owner)) this.asked.set(owner, untils);
    this.reckon();
  }
}

/** Reads the stored value; malformed content counts as empty. */
function parse(text: string | null): [string, ReadonlyMap<string, number>][] {
  try {
    const json: unknown = text === null ? [] : JSON.parse(text);
    const owners = Array.isArray(json) ? (json as [string, [string, number][]][]) : [];
    return owners.map(([owner, untils]) => [owner, new Map(untils.filter(([, ms]) => Number.isFinite(ms)))]);
  } catch {
    return [];
  }
}
