// Long work in slices, so that other work of the process has its turn between them.

export interface Slices {
  /** Asked between two steps: null while the slice lasts; else resolves when the next one begins. */
  next(): Promise<void> | null;
  /** Whether the first slice is over. */
  readonly paused: boolean;
}

/** For work that is short, or that nothing else waits for. */
export const oneSlice: Slices = { next: () => null, paused: false };

/** Everybody who works in slices; each turn of the process is given to one of them. */
export class SliceTurns {
  private tail: Promise<void> = Promise.resolve();

  /**
   * @param monoMs monotonic ms
   * @param turn resolves when the process has done what else there is
   */
  constructor(
    private readonly sliceMs: number,
    private readonly monoMs: () => number,
    private readonly turn: () => Promise<void>,
  ) {}

  /** Of one piece of work; its first slice begins now. */
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

/** Work that may be interrupted after each of its steps. */
export type Steps<T = void> = Generator<undefined, T>;

/** Carries out all steps; at once when one slice is enough for them. */
export function inSlices<T>(steps: Steps<T>, slices: Slices): T | Promise<T> {
  for (;;) {
    const pause = slices.next();
    if (pause !== null) return goOn(pause, steps, slices);
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

async function goOn<T>(pause: Promise<void>, steps: Steps<T>, slices: Slices): Promise<T> {
  await pause;
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    const next = slices.next();
    if (next !== null) await next;
  }
}

/** A step for each index, in order; null when one slice was enough for all. */
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
