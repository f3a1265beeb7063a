// Sentences of the audience sync: about runs and about rows. Rows are checked as a builder's items are, so their sentences are the
// builder's.

import type { Problem, RunReport } from '../../src/sync/index';
import { builderRejection } from '../segment-builder/words';
import { figuresOf } from '../shared/figures';
import type { Rejection, Words } from '../shared/words';
import type { RejectedRow } from './rows';

/** Words of another node of the package. */
export function wordsOf(words: Words, node: string): Words {
  return { _: (key, params) => words._(`@instant-audience/node-red-xandr/${node}:${key}`, params) };
}

export function rowRejection(words: Words, { index, row, issues }: RejectedRow): Rejection {
  const named = issues.map((issue) => ({ ...issue, path: issue.path.replace(/^segments\[0\]\./, '') }));
  return builderRejection(words, index, row, named, true);
}

/** Why a run was not applied. */
export function problemOfRun(words: Words, { code, params }: Problem): string {
  return words._(`run.${code}`, figuresOf(params, words));
}

/** The report as a flow gets it. */
export function toldReport(words: Words, { refused, ...report }: RunReport): object {
  return refused === undefined
    ? report
    : {
        ...report,
        refused: { code: refused.code, message: problemOfRun(words, refused), ...refused.params },
      };
}
