// Names of the form's fields in sentences that the checks make, which know properties only.
import type { Issue } from '../../../src/audience/issues';
import { issueText } from '../../shared/words';
import type { EditorNode } from '../../types/red-editor';

/** `segments[0].member` becomes "Segment 1, Member"; a path within an entry stays what it is. */
export function fieldName(node: EditorNode<object>, path: string): string {
  const row = /^segments\[(\d+)\](?:\.(\w+))?$/.exec(path);
  const word = (name: string): string => node._(`segment-builder.label.${name}`);
  if (row !== null) {
    const segment = `${word('segment')} ${Number(row[1]) + 1}`;
    return row[2] === undefined ? segment : `${segment}, ${word(row[2])}`;
  }
  return fields.includes(path) ? word(path) : path;
}

const fields: readonly string[] = [
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
export function formSentence(node: EditorNode<object>, issue: Issue): string {
  return issueText(node, 'segment-builder', { ...issue, path: fieldName(node, issue.path) });
}
