// Virtual time: one scheduler for the whole world. Events run in order of their times, and all promises settle
// between two of them.
//
// It needs no real timer and does not leave the JavaScript turn in which it was started, so that nothing
// outside interferes: the same events give the same run.
import { setFlagsFromString } from 'node:v8';

// Not from inside a promise's callback, where it has no effect.
setFlagsFromString('--allow-natives-syntax');
// oxlint-disable-next-line no-implied-eval -- the only synchronous way to let promises settle
const settlePromises = new Function('%PerformMicrotaskCheckpoint()') as () => void;

/** Time as the parts of the world use it. */
export interface WorldTime {
  readonly nowMs: number;
  /** Number of events that ran. */
  readonly events: number;
  /** Errors that calls threw. */
  readonly thrown: readonly unknown[];
  after(delayMs: number, call: () => void): () => void;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  call: (() => void) | null;
}

/** This many events at one moment are an endless loop. */
const mostAtOnce = 20_000;

export class VirtualTime implements WorldTime {
  nowMs = 0;
  events = 0;
  readonly thrown: unknown[] = [];
  #heap: Event[] = [];
  #order = 0;
  #atOnce = 0;

  after(delayMs: number, call: () => void): () => void {
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, call };
    push(this.#heap, event);
    return () => {
      event.call = null;
    };
  }

  /** Runs until `untilMs`, or until `isDone` after an event. */
  run(untilMs: number, isDone: () => boolean = () => false): void {
    settlePromises();
    while (!isDone()) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return;
      }
      pop(this.#heap);
      if (event.call !== null) this.#carryOut(event);
    }
  }

  #carryOut(event: Event): void {
    this.#atOnce = event.atMs > this.nowMs ? 0 : this.#atOnce + 1;
    if (this.#atOnce > mostAtOnce)
      throw new Error(`It spins at ${this.nowMs} ms: too many events without time passing.`);
    this.nowMs = event.atMs;
    this.events += 1;
    try {
      event.call!();
    } catch (error) {
      this.thrown.push(error);
    }
    settlePromises();
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
    if (!isBefore(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
}
