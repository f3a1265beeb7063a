// A node's status, at most once a second and only when it changed; what comes in between is shown when its time comes.

import type { Node } from 'node-red';

export interface Shown {
  readonly fill: 'blue' | 'yellow' | 'green' | 'red';
  readonly shape: 'dot' | 'ring';
  readonly text: string;
}

const everyMs = 1000;

export class CalmStatus {
  private shown = '';
  private shownAtMs = -Infinity;
  private next: Shown | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly node: Node) {}

  show(status: Shown): void {
    this.next = status;
    const waitMs = this.shownAtMs + everyMs - performance.now();
    if (waitMs <= 0) this.showNext();
    else this.timer ??= setTimeout(() => this.showNext(), waitMs).unref();
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.next = null;
  }

  private showNext(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const { next } = this;
    this.next = null;
    if (next === null) return;
    const text = JSON.stringify(next);
    if (text === this.shown) return;
    this.shown = text;
    this.shownAtMs = performance.now();
    this.node.status(next);
  }
}
