// Issues in the server's language: for messages, errors and logs of the nodes.
import { filledIn, issueSentences, type Issue } from '../../src/entry/index';

/** The part of Node-RED's API that looks up words in the node set's own catalogue. */
export interface Words {
  _(key: string, params?: Record<string, unknown>): string;
}

/** One rejected entry in `msg.audience.rejected`. */
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

/** Number of issues in one text; all are in the rejection's `issues`. */
const toldIssues = 3;

/**
 * The issue in the server's language, from `<prefix>.issue.<code>` of the node set's words; in English where the
 * words are not loaded or lack it.
 */
export function issueText(words: Words, prefix: string, issue: Issue): string {
  return filledIn(
    unfilled(words, `${prefix}.issue.${issue.code}`, ['path', ...Object.keys(issue.params)]) ??
      issueSentences[issue.code],
    issue,
  );
}

/** A cache, since looking a sentence up takes ten times as long as filling it in, and a message may hold 100,000 bad entries. */
const lookedUp = new WeakMap<Words, Map<string, string>>();

/** As `textOr`, for texts that a message may need many times; placeholder names are in lower case. */
export function quickText(
  words: Words,
  key: string,
  params: Readonly<Record<string, string | number>>,
  otherwise: () => string,
): string {
  const text = unfilled(words, key, Object.keys(params));
  return text === null ? otherwise() : filledIn(text, { code: 'unreadable', path: '', params });
}

/** The sentence of a key, its placeholders filled in with themselves; null where it is missing. */
function unfilled(words: Words, key: string, placeholders: readonly string[]): string | null {
  const known = lookedUp.get(words) ?? new Map<string, string>();
  const kept = known.get(key);
  if (kept !== undefined) return kept;
  const names = placeholders.map((name) => [name, `__${name}__`] as const);
  const text = textOr(words, key, Object.fromEntries(names), () => '');
  if (text === '') return null;
  lookedUp.set(words, known.set(key, text));
  return text;
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

/** The first sentences, and the number of the others. */
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
