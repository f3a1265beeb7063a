// The sentences that users may see: those of the words files that are messages, and those that src/ writes to the log.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export interface Sentence {
  /** For a failure: the file, and the key in it. */
  readonly where: string;
  /** Values are `…`. */
  readonly text: string;
  /** The last part of a key: for a rejected entry it is the code. */
  readonly code: string;
}

/** Parts of keys below which everything is a message. */
const messages = new Set([
  ...['status', 'error', 'rejection', 'issue', 'invalid', 'validate', 'test'],
  // Of segments that builders name, and of the tab Audience.
  // Of synced segments: why a run was not applied.
  'run',
  ...['segment', 'reply', 'trouble', 'metrics'],
]);
/** Keys of hints, buttons and good news in between, and of single messages elsewhere. */
const noMessages =
  /\.test\.(database\.)?(button|asking)$|\.reply\.(done|lifted|(purged|erased(Synced)?)(All)?)$/;
const alsoMessages =
  /\.(sandboxStopped|databaseInClear|leftBehind)$|\.(picker|take|preview|reason)\.(no(?!Items)|not|refused|waiting|tooLarge)/;

/** Files of src/ whose sentences reach the log, a status or an error as they are. */
const logFiles = [
  'service/login/login-count.ts',
  'service/http/network-errors.ts',
  'service/reply/response-classifier.ts',
  'service/login/tokens.ts',
  'queue-postgres/postgres-address.ts',
  'queue-postgres/postgres-errors.ts',
  'queue-postgres/postgres-log.ts',
  'queue-postgres/postgres-module.ts',
  'queue/sqlite/sqlite-errors.ts',
  'queue/sqlite/thread-host.ts',
  'delivery/registry.ts',
  'delivery/loader.ts',
  'delivery/respond/node-listeners.ts',
  'delivery/respond/reports.ts',
  'delivery/shared/store-and-forward.ts',
  'delivery/shared/outcome-reader.ts',
  'delivery/shared/shared-deletions.ts',
  'delivery/shared/shared-queue.ts',
  'delivery/shared/store-and-forward.ts',
  'delivery/monitor/trouble-log.ts',
  'delivery/respond/unaccounted.ts',
  'delivery/respond/not-accepted.ts',
  'delivery/pending/warm-ups.ts',
];

/** Of those files, what no user sees: for the other messages nodes have words of their own, by its code. */
const unseen =
  /^(The account was closed before|The flow was stopped before|The account … serves|The queue is full; no entry|Too many messages wait|… Everything)/;

/** The codes that the service's own warnings are given. */
export function serviceCodes(src: string): Sentence[] {
  const file = path.join(src, 'service/reply/verdicts.ts');
  const codes = readFileSync(file, 'utf8').matchAll(/kind: '(?!again)\w+',\s*code: '(\w+)'/g);
  return [...codes].map(([, code]) => ({ where: 'src/service/reply/verdicts.ts', text: code!, code: code! }));
}

export function wordSentences(nodes: string): Sentence[] {
  const files = globSync('*/locales/en-US/*.json', { cwd: nodes }).sort();
  return files.flatMap((file) => {
    const words = JSON.parse(readFileSync(path.join(nodes, file), 'utf8')) as unknown;
    return leaves(words, [path.basename(file, '.json')])
      .filter(({ key }) => isMessage(key))
      .map(({ key, text }) => ({
        where: key.join('.'),
        text: text.replaceAll(/__\w+__/g, '…'),
        code: key.at(-1)!,
      }));
  });
}

function isMessage(key: readonly string[]): boolean {
  const whole = key.join('.');
  if (noMessages.test(whole)) return false;
  return key.slice(0, -1).some((part) => messages.has(part)) || alsoMessages.test(whole);
}

function leaves(words: unknown, key: string[]): { key: string[]; text: string }[] {
  if (typeof words === 'string') return [{ key, text: words }];
  return Object.entries(words as object).flatMap(([part, inner]) => leaves(inner, [...key, part]));
}

export function logSentences(src: string): Sentence[] {
  return logFiles.flatMap((file) => {
    const source = ts.createSourceFile(
      file,
      readFileSync(path.join(src, file), 'utf8'),
      ts.ScriptTarget.Latest,
    );
    return textsOf(source)
      .filter((text) => isSentence(text) && !unseen.test(text))
      .map((text) => ({ where: `src/${file}`, text, code: '' }));
  });
}

/** Begins like one, and is more than a word or two. */
function isSentence(text: string): boolean {
  return /^(?:[A-Z]|… )/.test(text) && text.split(' ').length > 3;
}

/** The texts in a source file; one that is put together from several is one. */
function textsOf(source: ts.SourceFile): string[] {
  const found: string[] = [];
  const look = (node: ts.Node): void => {
    const text = ts.isExpression(node) ? textOf(node) : null;
    if (text === null) ts.forEachChild(node, look);
    else found.push(text.trim());
  };
  look(source);
  return found;
}

function textOf(node: ts.Expression): string | null {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return null;
  const [left, right] = [textOf(node.left), textOf(node.right)];
  return left === null && right === null ? null : `${left ?? '…'}${right ?? '…'}`;
}
