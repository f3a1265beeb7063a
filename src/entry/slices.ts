// Splits long work into time slices, so that the event loop can do other work in between.

export interface Slices {
  /** Called between two steps: null during a slice, else a promise that resolves at the start of the next slice. */
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

  /** The slices of one piece of work; the first begins now. */
  slices(): Slices {
    let untilMs = this.monoMs() + this.sliceMs;
    let paused = false;
    return {
      get paused() {
        return paused;
      },
      next: () => {
        if (this.monoMs() < untilMs) return null;
        paused = true;
        this.tail = this.tail.then(this.turn);
        return this.tail.then(() => {
          untilMs = this.monoMs() + this.sliceMs;
        });
      },
    };
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
  return inSlices(stepsOf(count, step), slices) ?? null;
}

function* stepsOf(count: number, step: (index: number) => void): Steps {
  for (let index = 0; index < count; index++) {
    step(index);
    yield;
  }
}
