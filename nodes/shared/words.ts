// Issues in the editor's language: for messages, errors and logs of the nodes.
import { sentence, type Issue } from '../../src/audience/issues';

/** The part of Node-RED's API that looks up words; keys are looked up in the node set's own words file. */
export interface Words {
  _(key: string, params?: Record<string, unknown>): string;
}

/** One rejected entry, as it stands in `msg.audience.rejected` (design section 3). */
export interface Rejection {
  /** Counts from the input. */
  readonly index: number;
  readonly entry: unknown;
  /** Stable; of the first issue. */
  readonly code: string;
  /** All issues in one text. */
  readonly message: string;
  readonly issues: readonly { readonly code: string; readonly path: string; readonly message: string }[];
}

/** Issues told in one text; the rest stands in the rejection's `issues`. */
const toldIssues = 3;

/**
 * The issue in the editor's language, from `<prefix>.issue.<code>` of the node set's words; in English where the
 * words are not loaded or lack it.
 */
export function issueText(words: Words, prefix: string, issue: Issue): string {
  return textOr(words, `${prefix}.issue.${issue.code}`, { ...issue.params, path: issue.path }, () =>
    sentence(issue),
  );
}

/** A rejection with its sentences. `issues` must not be empty. */
export function rejection(
  words: Words,
  prefix: string,
  index: number,
  entry: unknown,
  issues: readonly Issue[],
): Rejection {
  const told = issues.map((issue) => ({
    code: issue.code,
    path: issue.path,
    message: issueText(words, prefix, issue),
  }));
  return {
    index,
    entry,
    code: told[0]!.code,
    message: joinSentences(told.map((each) => each.message)),
    issues: told,
  };
}

/** The first sentences, and how many more there are. */
export function joinSentences(sentences: readonly string[]): string {
  const rest = sentences.length - toldIssues;
  const text = sentences.slice(0, toldIssues).join('; ');
  return rest > 0 ? `${text}; … (+${rest})` : text;
}

/** A text of the words file, or another one where it is missing (Node-RED then gives back the key). */
export function textOr(
  words: Words,
  key: string,
  params: Record<string, unknown>,
  otherwise: () => string,
): string {
  const text = words._(key, params);
  return text === key || text === '' ? otherwise() : text;
}
