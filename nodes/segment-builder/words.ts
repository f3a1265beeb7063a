// The builder's sentences, which name fields as the form does: the checks know properties only.
import type { Issue } from '../../src/audience/issues';
import { problemText, type Problem } from '../shared/saved';
import { issueText, textOr, type Words } from '../shared/words';

/** `segments[0].member` becomes "Segment 1, Member"; a path within an entry stays what it is. */
export function fieldName(words: Words, path: string): string {
  const word = (name: string): string => textOr(words, `segment-builder.label.${name}`, {}, () => name);
  const row = /^segments\[(\d+)\](?:\.(\w+))?$/.exec(path);
  if (row !== null) {
    const segment = `${word('segment')} ${Number(row[1]) + 1}`;
    return row[2] === undefined ? segment : `${segment}, ${word(row[2])}`;
  }
  return fields.includes(path) ? word(path) : path;
}

const fields: readonly string[] = [
  'account',
  'source',
  'items',
  'userId',
  'domain',
  'allowCustomDomain',
  'action',
  'actionProperty',
  'segments',
  'eventTime',
  'output',
];

/** The issue as a sentence of the form. */
export function formSentence(words: Words, issue: Issue): string {
  return issueText(words, 'segment-builder', { ...issue, path: fieldName(words, issue.path) });
}

/** What is wrong with a saved property. */
export function problemSentence(words: Words, problem: Problem): string {
  const row = Number(/^segments\[(\d+)\]/.exec(problem.path)?.[1] ?? 0) + 1;
  const params = { ...problem.params, row };
  return problemText(words, 'segment-builder.validate', { ...problem, params }, (path) =>
    fieldName(words, path),
  );
}
