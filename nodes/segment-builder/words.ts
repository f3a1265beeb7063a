// Sentences of the builder; they name fields by the form's labels, since the checks know properties only.
import { printable, type Issue } from '../../src/entry/index';
import { problemText, type Problem } from '../shared/saved';
import { issueText, quickText, type Rejection, type Words } from '../shared/words';

/** Number of characters that the debug sidebar shows at a glance. */
const mostChars = 80;
/** Shortest length of a cut value. */
const fewestValueChars = 12;

/**
 * `segments[0].member` becomes "Segment 1, Member", and `seg_block[0].member_id` of an entry, which may come of any row,
 * "Member".
 */
export function fieldName(words: Words, path: string): string {
  const word = (name: string): string => quickText(words, `segment-builder.label.${name}`, {}, () => name);
  const row = /^segments\[(\d+)\](?:\.(\w+))?$/.exec(path);
  if (row !== null) {
    const segment = `${word('segment')} ${Number(row[1]) + 1}`;
    return row[2] === undefined ? segment : `${segment}, ${word(row[2])}`;
  }
  return word(ofEntry[path.replace(/^seg_block\[\d+\]\.?/, 'block.')] ?? path);
}

/** By the keys of an entry, and of its blocks: which field of the form gives it. */
const ofEntry: Readonly<Record<string, string>> = {
  user_id: 'userId',
  event_time: 'eventTime',
  seg_block: 'segments',
  'block.': 'segment',
  'block.seg_id': 'segment',
  'block.seg_code': 'segment',
  'block.member_id': 'member',
  'block.value': 'value',
  'block.expiration': 'expiration',
};

/** The issue as a sentence of the form. */
export function formSentence(words: Words, issue: Issue): string {
  return issueText(words, 'segment-builder', { ...issue, path: fieldName(words, issue.path) });
}

/**
 * Why an item is not built, for `msg.audience.rejected` and errors. Its message is the first issue in at most 80
 * characters, which start with the field's label and end with what to do; the details are in its issues.
 *
 * @param ofItems whether messages hold a list of items, which the message counts from 0
 */
export function builderRejection(
  words: Words,
  index: number,
  entry: unknown,
  issues: readonly Issue[],
  ofItems: boolean,
): Rejection {
  const first = issues[0]!;
  const field = fieldName(words, first.path);
  const inItem = (): string =>
    quickText(words, 'segment-builder.label.ofItem', { field, index }, () => `${field} [${index}]`);
  const more = issues.length > 1 ? ` (+${issues.length - 1})` : '';
  // Where labels and values are long, the details alone say which item it is, and how much more is wrong.
  const path = ofItems ? inItem() : field;
  const told =
    shortSentence(words, { ...first, path }, more) ??
    shortSentence(words, { ...first, path }, '') ??
    shortSentence(words, { ...first, path: field }, '');
  return {
    index,
    entry,
    code: first.code,
    message: told ?? printable(formSentence(words, first), mostChars - 1),
    issues: issues.map((issue) => ({
      code: issue.code,
      path: issue.path,
      message: formSentence(words, issue),
    })),
  };
}

/** The sentence with values cut to fit; null if they would become too short. */
function shortSentence(words: Words, issue: Issue, end: string): string | null {
  const params = { ...issue.params };
  for (;;) {
    const text = issueText(words, 'segment-builder', { ...issue, params }) + end;
    if (text.length <= mostChars) return text;
    const [name, value] = longestOf(params);
    if (value.length <= fewestValueChars) return null;
    const room = Math.max(fewestValueChars, value.length - (text.length - mostChars));
    params[name] = value.startsWith('"') ? `${printable(value, room - 2)}"` : printable(value, room - 1);
  }
}

function longestOf(params: Readonly<Record<string, string | number>>): [string, string] {
  const texts = Object.entries(params).map(([name, value]): [string, string] => [name, String(value)]);
  return texts.reduce((longest, one) => (one[1].length > longest[1].length ? one : longest), ['', '']);
}

/** The problem of a saved property, as a sentence. */
export function problemSentence(words: Words, problem: Problem): string {
  const row = Number(/^segments\[(\d+)\]/.exec(problem.path)?.[1] ?? 0) + 1;
  const params = { ...problem.params, row };
  return problemText(words, 'segment-builder.validate', { ...problem, params }, (path) =>
    fieldName(words, path),
  );
}
