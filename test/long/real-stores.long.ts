// Plans of the simulation in real time: the same world, but with the real PostgreSQL on loopback and real SQLite files, judged
// by the same model. `SIMULATION_FROM` names the first seed.
import assert from 'node:assert/strict';
import { Pool } from 'pg';
import { violationsOf, type Violation } from '../simulation/model/model';
import { RealDatabase } from '../simulation/real/real-database';
import { RealDisk } from '../simulation/real/real-disk';
import { RealTime } from '../simulation/real/real-time';
import type { Dice } from '../simulation/world/dice';
import { makePlan } from '../simulation/world/make-plan';
import type { Action, Plan } from '../simulation/world/plan';
import { World } from '../simulation/world/world';
import { cleanUps } from '../support/clean-up';
import { ownPostgres, type OwnDatabase } from '../support/services';

/** What real stores and a real clock cannot be made to do here. */
const notHere: readonly Action['kind'][] = ['freeze', 'suspend', 'wallClock', 'disk', 'database', 'crashAt'];
const longestMs = 20_000;
const atOnce = 8;
const from = Number(process.env.SIMULATION_FROM ?? '1');

/** The first plans from the given seed on that are short and have such a queue; crashes and deploys stay in them. */
function plansWith(queue: 'disk' | 'shared', count: number): Plan[] {
  const plans: Plan[] = [];
  for (let seed = from; plans.length < count; seed += 1) {
    const plan = makePlan(seed);
    const fits = plan.setup.members.every((member) => member.queue === queue);
    const movesQueue = plan.actions.some(
      (action) => action.kind === 'accounts' && ('queue' in action.change || 'database' in action.change),
    );
    const hasTrouble = plan.actions.some(({ kind }) =>
      ['crash', 'deploy', 'weather', 'erase'].includes(kind),
    );
    if (!fits || movesQueue || !hasTrouble || plan.healMs > longestMs || plan.shape === 'linger') continue;
    plans.push({ ...plan, actions: plan.actions.filter(({ kind }) => !notHere.includes(kind)) });
  }
  return plans;
}

interface Played {
  readonly seed: number;
  readonly entries: number;
  readonly requests: number;
  readonly faults: number;
  readonly violations: readonly Violation[];
}

async function play(plan: Plan, databaseFor: (time: RealTime, dice: Dice) => RealDatabase): Promise<Played> {
  const time = new RealTime();
  const world = new World(plan, {
    time,
    disk: (_index, dice) => new RealDisk(time, dice, plan.setup.encrypted === true),
    database: (_name, dice) => databaseFor(time, dice),
  });
  try {
    const script = world.script();
    let step = script.next();
    for (; step.done !== true; step = script.next()) await time.reached(step.value);
    const { history } = step.value;
    return {
      seed: plan.seed,
      entries: history.messages.reduce((sum, { entries }) => sum + entries.length, 0),
      requests: history.requests.length,
      faults: [...history.faults.values()].reduce((sum, times) => sum + times, 0),
      violations: violationsOf(step.value),
    };
  } finally {
    await world.end();
    time.end();
  }
}

/** So many at a time: they wait more than they compute. */
async function playAll(plans: readonly Plan[], playOne: (plan: Plan) => Promise<Played>): Promise<void> {
  const waiting = [...plans];
  const played: Played[] = [];
  const worker = async (): Promise<void> => {
    for (let plan = waiting.shift(); plan !== undefined; plan = waiting.shift())
      played.push(await playOne(plan));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const sum = (of: (one: Played) => number): number => played.reduce((total, one) => total + of(one), 0);
  console.log(
    `      ${played.length} plans, ${sum(({ entries }) => entries)} entries, ${sum(({ requests }) => requests)} requests, ${sum(({ faults }) => faults)} faults`,
  );
  for (const { seed, violations } of played) assert.deepEqual(violations, [], `seed ${seed}`);
}

describe('the simulation’s plans in real time', function () {
  this.timeout(20 * 60_000);
  const ends = cleanUps();
  let own: OwnDatabase;
  let pool: Pool;

  before(async function () {
    own = await ownPostgres(this, ends, `audience_simulation_${process.pid}`);
    pool = new Pool({ connectionString: own.url, max: 2 });
    ends(() => pool.end());
  });

  it('keep every promise with SQLite files', () =>
    playAll(plansWith('disk', 16), (plan) =>
      play(plan, () => {
        throw new Error('No queue is shared.');
      }),
    ));

  it('keep every promise with PostgreSQL', () =>
    playAll(plansWith('shared', 16), (plan) =>
      play(
        plan,
        (time, dice) => new RealDatabase(time, dice, pool, own.url, `https://seed-${plan.seed}.test`),
      ),
    ));
});
