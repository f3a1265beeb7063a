// Simulation: plans that once found a fault, the first hundred seeds, and some forms of a user's history;
// `npm run test:long` plays five hundred seeds, and all forms; `npm run simulate` plays as many as it is told.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { boundsWork } from './growth-seeds';
import { runSeeds } from './many-seeds';
import { digestOf, runPlan, runSeed } from './run-seed';
import { shrink } from './shrink';
import { story } from './story';
import { bugs } from './bugs/bugs';
import { makePlan } from './world/make-plan';
import type { Plan } from './world/plan';

/** Shortened plans, because seeds give other plans when the generator changes. */
const kept = path.join(__dirname, 'kept');

describe('The simulation of the whole system', () => {
  for (const file of readdirSync(kept)) {
    const { found, plan } = JSON.parse(readFileSync(path.join(kept, file), 'utf8')) as {
      found: string;
      plan: Plan;
    };
    it(`keeps every promise in the plan that once found: ${found}`, async () => {
      const result = await runPlan(plan);
      assert.deepEqual(result.violations, [], story(result));
    });
  }

  it('gives the same events for the same seed', async () => {
    for (const seed of [3, 5, 8, 13, 21, 34]) {
      const [first, second] = [await runSeed(seed), await runSeed(seed)];
      assert.ok(first.log.length > 10);
      assert.equal(digestOf(first.log), digestOf(second.log), `seed ${seed}`);
    }
  });

  it('plays a plan that was read from JSON like the plan itself', async () => {
    const plan = makePlan(7);
    const [first, second] = [
      await runPlan(plan),
      await runPlan(JSON.parse(JSON.stringify(plan)) as typeof plan),
    ];
    assert.equal(digestOf(first.log), digestOf(second.log));
  });

  it('keeps every promise with the seeds 1 to 100', async function () {
    this.timeout(120_000);
    // In this process, since others run other tests.
    const { seeds, failed } = await runSeeds(1, 100);
    assert.equal(seeds, 100);
    assert.deepEqual(failed, []);
  });

  it('bounds the work for every sixth form of a user’s history', async function () {
    this.timeout(120_000);
    await boundsWork(6);
  });

  it('has at least thirty bugs to find, each with a unique name', () => {
    assert.ok(bugs.length >= 30);
    assert.equal(new Set(bugs.map(({ name }) => name)).size, bugs.length);
  });

  it('finds a bug, and shows it with fewer actions than the plan had', async function () {
    this.timeout(120_000);
    const bug = bugs.find(({ name }) => name.startsWith('an account that is removed'))!;
    const takeOut = bug.putIn();
    try {
      const failed = await runSeed(19);
      assert.ok(failed.violations.length > 0);
      const short = await shrink(failed);
      assert.ok(short.plan.actions.length < failed.plan.actions.length / 2);
      assert.match(story(short), /seed 19/);
    } finally {
      takeOut();
    }
  });
});
