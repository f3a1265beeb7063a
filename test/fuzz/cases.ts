// How many cases the fuzz tests run: some six thousand in `npm test`, a million in `npm run fuzz`; and how many ran.
import { inspect } from 'node:util';
import fc from 'fast-check';

/** `npm run fuzz` sets it; FUZZ_SEED repeats a run. */
const scale = Number(process.env.FUZZ_SCALE ?? 0.4);
const seed = process.env.FUZZ_SEED;

/** A case may be slow on a busy machine; one that takes longer than this hangs. */
const hangMs = 5_000;

let ran = 0;
/** Cases that ran in this process. */
export const casesRun = (): number => ran;

const parameters = (usual: number) => ({
  numRuns: Math.round(usual * scale),
  ...(seed === undefined ? {} : { seed: Number(seed) }),
});

/** A value that fast-check neither looks into nor prints by itself: its getters may throw. */
class Boxed<T> {
  constructor(readonly value: T) {}

  [fc.toStringMethod](): string {
    try {
      return inspect(this.value, { depth: 6, maxArrayLength: 20, maxStringLength: 500 });
    } catch {
      return 'a value that cannot be shown';
    }
  }
}

const boxed = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<Boxed<T>> => values.map((value) => new Boxed(value));

/** Runs `check` on `usual` values, more in a long run. A failure prints seed, path and the smallest case found. */
export function fuzz<T>(values: fc.Arbitrary<T>, usual: number, check: (value: T) => void): void {
  const property = fc.property(boxed(values), ({ value }) => {
    ran += 1;
    const startedMs = performance.now();
    check(value);
    const tookMs = performance.now() - startedMs;
    if (tookMs > hangMs) throw new Error(`took ${Math.round(tookMs)} ms`);
  });
  fc.assert(property, parameters(usual));
}

/** The same for what takes time; a value may stand for several cases. One that hangs is not made smaller. */
export function fuzzAsync<T>(
  values: fc.Arbitrary<T>,
  usual: number,
  check: (value: T) => Promise<void>,
  casesInOne = 1,
): Promise<void> {
  const property = fc.asyncProperty(boxed(values), async ({ value }) => {
    ran += casesInOne;
    await check(value);
  });
  return fc.assert(property, { ...parameters(usual), endOnFailure: true });
}

/** Mocha's limit for a test that usually takes a few seconds. */
export const timeoutMs = 60_000 * Math.max(1, scale);
