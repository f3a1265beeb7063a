// Shortens a failing plan: removes actions, in ever smaller parts, as long as the same promise is broken.
import { runPlan, type Result } from './run-seed';
import type { Action, Plan } from './world/plan';

const mostRuns = 300;

export async function shrink(failed: Result): Promise<Result> {
  const promise = failed.violations[0]!.promise;
  let best = failed;
  let runs = 0;
  const tryPlan = async (plan: Plan): Promise<boolean> => {
    runs += 1;
    const result = await runPlan(plan);
    const broken = result.violations.find((one) => one.promise === promise);
    if (broken === undefined) return false;
    best = { ...result, violations: [broken, ...result.violations.filter((one) => one !== broken)] };
    return true;
  };
  for (
    let size = Math.ceil(best.plan.actions.length / 2);
    size >= 1 && runs < mostRuns;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let at = 0; at < best.plan.actions.length && runs < mostRuns;) {
      const actions = best.plan.actions.filter((_, index) => index < at || index >= at + size);
      if (!(await tryPlan({ ...best.plan, actions }))) at += size;
    }
  }
  for (let at = 0; at < best.plan.actions.length && runs < mostRuns; at += 1)
    await shortenMessage(best.plan, at, tryPlan);
  return best;
}

/** Removes entries of a message. */
async function shortenMessage(
  plan: Plan,
  at: number,
  tryPlan: (plan: Plan) => Promise<boolean>,
): Promise<void> {
  const action = plan.actions[at]!;
  if (action.kind !== 'message' || action.entries.length === 1) return;
  let entries = action.entries;
  for (let size = Math.ceil(entries.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < entries.length && entries.length > 1;) {
      const fewer = entries.filter((_, index) => index < from || index >= from + size);
      const actions = plan.actions.map((one, index): Action =>
        index === at ? { ...action, entries: fewer } : one,
      );
      if (fewer.length > 0 && (await tryPlan({ ...plan, actions }))) entries = fewer;
      else from += size;
    }
  }
}
