// A node's status, updated at most once a second and only on change; the last update of a second is shown at its end.

import type { Node } from 'node-red';

export interface Shown {
  readonly fill: 'blue' | 'yellow' | 'green' | 'red';
  readonly shape: 'dot' | 'ring';
  readonly text: string;
}

/** What each kind of status looks like. */
export const looks = {
  working: { fill: 'blue', shape: 'dot' },
  waiting: { fill: 'yellow', shape: 'ring' },
  idle: { fill: 'green', shape: 'dot' },
  stopped: { fill: 'red', shape: 'ring' },
} as const satisfies Record<string, Omit<Shown, 'text'>>;
export type Look = keyof typeof looks;

const everyMs = 1000;

export class CalmStatus {
  private shown = '';
  private shownAtMs = -Infinity;
  private next: (() => Shown) | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly node: Node) {}

  /** `status` is called when it is shown, so that it is current. */
  show(status: () => Shown): void {
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
    const status = next();
    const text = JSON.stringify(status);
    if (text === this.shown) return;
    this.shown = text;
    this.node.status(status);
    // Afterwards, since the call may take long: the second counts from its end.
    this.shownAtMs = performance.now();
  }
}
