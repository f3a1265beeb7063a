// Runs one seed, from its plan to its violations. The same seed always has the same result.
import { createHash } from 'node:crypto';
import { bugInPlace } from './bugs/bug';
import { growthViolations, isGrowthSeed } from './growth';
import { growthOf } from './growth-runner';
import { violationsOf, type Violation } from './model/model';
import { makePlan } from './world/make-plan';
import type { Plan } from './world/plan';
import { World } from './world/world';

export interface Result {
  readonly seed: number;
  readonly plan: Plan;
  readonly violations: readonly Violation[];
  /** The events, one per line. */
  readonly log: readonly string[];
  readonly events: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly worst: ReadonlyMap<string, number>;
}

let unhandled: unknown[] = [];
process.on('unhandledRejection', (error) => unhandled.push(error));

export function runSeed(seed: number): Promise<Result> {
  return isGrowthSeed(seed) ? runGrowthSeed(seed) : runPlan(makePlan(seed));
}

async function runGrowthSeed(seed: number): Promise<Result> {
  const grown = await growthOf(seed, bugInPlace());
  const { log, events, growth, pendingGrowth, kept } = grown;
  const worst = new Map([
    ['growth of work for twice the entries of a user', growth],
    ['growth of memory for twice the entries of a user that are pending', pendingGrowth],
    ['places in memory that are kept of twice the entries of a user once they have ended', kept],
  ]);
  return {
    seed,
    plan: { ...makePlan(seed), shape: 'growth', actions: [] },
    violations: growthViolations(grown),
    log,
    events,
    faults: new Map(),
    worst,
  };
}

/** Plays a plan in a turn of the event loop of its own, where promises can be made to settle. */
export function runPlan(plan: Plan): Promise<Result> {
  return new Promise((resolve) => {
    setImmediate(() => {
      const result = playAndJudge(plan);
      // Unhandled rejections are known a turn later.
      setImmediate(() => {
        const found = unhandled.map((error) => ({
          promise: 'nothing goes wrong inside',
          text: `unhandled: ${textOf(error)}`,
        }));
        unhandled = [];
        resolve({ ...result, violations: [...result.violations, ...found] });
      });
    });
  });
}

function playAndJudge(plan: Plan): Result {
  const world = new World(plan);
  const { log, faults, worst } = world.history;
  const common = { seed: plan.seed, plan, log, faults, worst };
  try {
    const played = world.play();
    return { ...common, violations: violationsOf(played), events: played.events };
  } catch (error) {
    const violations = [{ promise: 'nothing goes wrong inside', text: textOf(error) }];
    return { ...common, violations, events: world.time.events };
  }
}

export function digestOf(log: readonly string[]): string {
  return createHash('sha256').update(log.join('\n')).digest('hex');
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
