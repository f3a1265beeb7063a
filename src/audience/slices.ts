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

/** A step for each index, in order; null when one slice was enough for all. */
export function eachInSlices(
  count: number,
  slices: Slices,
  step: (index: number) => void,
): Promise<void> | null {
  for (let index = 0; index < count; index++) {
    const pause = slices.next();
    if (pause !== null) return rest(index, count, slices, step, pause);
    step(index);
  }
  return null;
}

async function rest(
  from: number,
  count: number,
  slices: Slices,
  step: (index: number) => void,
  pause: Promise<void>,
): Promise<void> {
  await pause;
  for (let index = from; index < count; index++) {
    const next = slices.next();
    if (next !== null) await next;
    step(index);
  }
}
