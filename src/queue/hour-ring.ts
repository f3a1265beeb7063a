// A value for each of the last 30 days' hours, beside the queue: an hour takes the place of the one 30 days before it.

import type { QueueStore } from './store';

export const hourMs = 3_600_000;
/** 30 days. */
export const keptHours = 720;

/** Which hour it is: whole hours since the epoch. */
export function hourOf(wallMs: number): number {
  return Math.floor(wallMs / hourMs);
}

export class HourRing {
  constructor(
    private readonly store: Pick<QueueStore, 'getMeta' | 'setMeta'>,
    /** Part of the keys in the store: never change one. */
    private readonly name: string,
  ) {}

  /** What was kept of an hour; null when nothing was, or a later hour has taken its place. Rejects as the store does. */
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
