// Binary heap of values that become due at a time.

export class DueHeap<T> {
  private readonly items: { atMs: number; value: T }[] = [];

  get size(): number {
    return this.items.length;
  }

  nextAtMs(): number {
    return this.items[0]?.atMs ?? Infinity;
  }

  push(atMs: number, value: T): void {
    const items = this.items;
    items.push({ atMs, value });
    let i = items.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (items[parent]!.atMs <= items[i]!.atMs) break;
      [items[parent], items[i]] = [items[i]!, items[parent]!];
      i = parent;
    }
  }

  /** Removes and returns the earliest value that is due at `nowMs`; null if none is due. */
  popDue(nowMs: number): T | null {
    const items = this.items;
    const first = items[0];
    if (first === undefined || first.atMs > nowMs) return null;
    const last = items.pop()!;
    if (items.length > 0) {
      items[0] = last;
      this.sink();
    }
    return first.value;
  }

  private sink(): void {
    const items = this.items;
    let i = 0;
    for (;;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < items.length && items[child]!.atMs < items[least]!.atMs) least = child;
      }
      if (least === i) return;
      [items[least], items[i]] = [items[i]!, items[least]!];
      i = least;
    }
  }
}
