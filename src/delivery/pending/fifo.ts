// First-in-first-out queue; it frees memory as it drains.

export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private head = 0;

  get size(): number {
    return this.items.length - this.head;
  }

  push(item: T): void {
    this.items.push(item);
  }

  /** Yields the items, oldest first. */
  *[Symbol.iterator](): Generator<T> {
    for (let at = this.head; at < this.items.length; at += 1) yield this.items[at]!;
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  shift(): T | undefined {
    if (this.head >= this.items.length) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head += 1;
    if (this.head === this.items.length) {
      this.items = [];
      this.head = 0;
    } else if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  /** Removes and returns the newest item. */
  pop(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.items.pop();
    if (this.size === 0) {
      this.items = [];
      this.head = 0;
    }
    return item;
  }

  /** Puts back the item that `shift` just returned. */
  unshift(item: T): void {
    if (this.head > 0) {
      this.head -= 1;
      this.items[this.head] = item;
    } else {
      this.items.unshift(item);
    }
  }
}
