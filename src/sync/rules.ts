// Rules of a run: whether it is applied, once it is known what it would change.

import type { OpenRun, Problem, SyncedState } from './state';

export interface RunRules {
  /** Most users that a run may remove; the first run of a segment is exempt. */
  readonly maxRemovals: { readonly number: number; readonly unit: 'percent' | 'users' };
  readonly emptyIsError: boolean;
}

/** Why a run that was counted is not applied; null if it is. */
export function refusalOf(run: OpenRun, ended: SyncedState['ended'], rules: RunRules): Problem | null {
  const { options, counted } = run;
  if (options.preview) return { code: 'preview', params: {} };
  if (options.force) return null;
  if (run.problem !== null && run.problem.code !== 'preview') return run.problem;
  if (run.users === 0 && rules.emptyIsError) return emptyProblem(run);
  const { remove } = counted;
  const known = remove + counted.change + counted.refresh + counted.unchanged;
  const { number, unit } = rules.maxRemovals;
  const limit = unit === 'users' ? number : Math.floor((known * number) / 100);
  return ended !== null && remove > limit
    ? { code: 'too_many_removals', params: { removed: remove, known, limit } }
    : null;
}

export function emptyProblem({ rows, invalid }: Pick<OpenRun, 'rows' | 'invalid'>): Problem {
  return { code: 'empty', params: { rows, invalid } };
}
