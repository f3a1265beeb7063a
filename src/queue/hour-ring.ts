// Ring of hourly values in the store: one for each hour of the last 30 days; an hour replaces the one 30 days
// before it.

import type { QueueStore } from './store';

export const hourMs = 3_600_000;
/** 30 days. */
export const keptHours = 720;

/** Number of an hour: whole hours since the epoch. */
export function hourOf(wallMs: number): number {
  return Math.floor(wallMs / hourMs);
}

export class HourRing {
  constructor(
    private readonly store: Pick<QueueStore, 'getMeta' | 'setMeta'>,
    /** Part of the keys in the store: never change one. */
    private readonly name: string,
  ) {}

  /**
   * The value of an hour; null when there is none or a later hour has replaced it. Rejects as the store does.
   */
  async get(hour: number): Promise<unknown> {
    const text = await this.store.getMeta(this.#key(hour));
    const kept = text === null ? null : parse(text);
    return kept?.hour === hour ? kept.value : null;
  }

  set(hour: number, value: unknown): Promise<void> {
    return this.store.setMeta(this.#key(hour), JSON.stringify({ hour, value }));
  }

  #key(hour: number): string {
    return `${this.name} ${hour % keptHours}`;
  }
}

function parse(text: string): { readonly hour?: unknown; readonly value?: unknown } | null {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' ? json : null;
  } catch {
    return null;
  }
}
