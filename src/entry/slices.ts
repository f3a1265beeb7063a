// Splits long work into time slices, so that the event loop can do other work in between.

export interface Slices {
  /** Called between two steps: null during a slice, else a promise that resolves at the start of the next slice. The first one begins with the first call. */
  next(): Promise<void> | null;
  /** Whether the first slice is over. */
  readonly paused: boolean;
}

/** A single slice without end, for short work. */
export const oneSlice: Slices = { next: () => null, paused: false };

/** Coordinates all work in slices: in each turn of the event loop, only one slice runs. */
export class SliceTurns {
  private tail: Promise<void> = Promise.resolve();

  /**
   * @param monoMs monotonic ms
   * @param turn resolves after other work of the event loop
   */
  constructor(
    private readonly sliceMs: number,
    private readonly monoMs: () => number,
    private readonly turn: () => Promise<void>,
  ) {}

  /** The slices of one piece of work. */
  slices(): Slices {
    return new WorkSlices(this);
  }

  /** When a slice that begins now ends. */
  get untilMs(): number {
    return this.monoMs() + this.sliceMs;
  }

  isOver(untilMs: number): boolean {
    return this.monoMs() >= untilMs;
  }

  /** Resolves at the start of the next slice. */
  nextTurn(): Promise<void> {
    this.tail = this.tail.then(this.turn);
    return this.tail;
  }
}

class WorkSlices implements Slices {
  paused = false;
  /** Null before the first call: most work has a single step, and reads no clock. */
  private untilMs: number | null = null;

  constructor(private readonly turns: SliceTurns) {}

  next(): Promise<void> | null {
    const { turns } = this;
    this.untilMs ??= turns.untilMs;
    if (!turns.isOver(this.untilMs)) return null;
    this.paused = true;
    return turns.nextTurn().then(() => {
      this.untilMs = turns.untilMs;
    });
  }
}

/** Work that can pause after each step. */
export type Steps<T = void> = Generator<undefined, T>;

/** Runs all steps; synchronously if one slice is enough. */
export function inSlices<T>(steps: Steps<T>, slices: Slices): T | Promise<T> {
  for (;;) {
    const pause = slices.next();
    if (pause !== null) return continueSteps(pause, steps, slices);
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

async function continueSteps<T>(pause: Promise<void>, steps: Steps<T>, slices: Slices): Promise<T> {
  await pause;
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    const next = slices.next();
    if (next !== null) await next;
  }
}

/** Calls `step` for each index in order; null if one slice was enough, else a promise for the end. */
export function eachInSlices(
  count: number,
  slices: Slices,
  step: (index: number) => void,
): Promise<void> | null {
  for (let index = 0; index < count; index++) {
    const pause = index === 0 ? null : slices.next();
    if (pause !== null) return continueEach(pause, index, count, slices, step);
    step(index);
  }
  return null;
}

async function continueEach(
  pause: Promise<void>,
  from: number,
  count: number,
  slices: Slices,
  step: (index: number) => void,
): Promise<void> {
  await pause;
  for (let index = from; index < count; index++) {
    step(index);
    const next = slices.next();
    if (next !== null) await next;
  }
}
