// Tickets: random texts that are good for one use within some time.

import { randomBytes } from 'node:crypto';

const mostTickets = 100;

export class Tickets {
  private readonly given = new Map<string, { readonly subject: string; readonly untilMs: number }>();

  constructor(
    private readonly goodForMs: number,
    private readonly monoMs: () => number = () => performance.now(),
  ) {}

  give(subject: string): string {
    const nowMs = this.monoMs();
    for (const [ticket, { untilMs }] of this.given) if (untilMs < nowMs) this.given.delete(ticket);
    if (this.given.size >= mostTickets) this.given.delete(this.given.keys().next().value!);
    const ticket = randomBytes(16).toString('hex');
    this.given.set(ticket, { subject, untilMs: nowMs + this.goodForMs });
    return ticket;
  }

  /** Whether it is good for this subject. */
  take(ticket: unknown, subject: string): boolean {
    if (typeof ticket !== 'string') return false;
    const found = this.given.get(ticket);
    this.given.delete(ticket);
    return found?.subject === subject && found.untilMs >= this.monoMs();
  }
}
