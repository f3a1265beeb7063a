// docs/troubleshooting.md and docs/internals/messages.md against the sentences that a user may see: each is there, and
// nothing is there that is not.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fits, quotedIn, type Quote } from './quotes';
import { logSentences, serviceCodes, wordSentences } from './sentences';

const root = path.join(__dirname, '..', '..');
const page = ['troubleshooting.md', 'internals/messages.md']
  .map((file) => readFileSync(path.join(root, 'docs', file), 'utf8'))
  .join('\n');

describe('docs/troubleshooting.md and docs/internals/messages.md', () => {
  const quotes = quotedIn(page);
  const words = wordSentences(path.join(root, 'nodes'));
  const logged = logSentences(path.join(root, 'src'));
  const sentences = [...words, ...logged, ...serviceCodes(path.join(root, 'src'))];

  it('is read as its tables are meant', () => {
    assert.ok(quotes.length > 150, `${quotes.length} texts in its tables`);
    assert.ok(words.length > 200, `${words.length} words that are messages`);
    assert.ok(logged.length > 40, `${logged.length} sentences of the log`);
  });

  it('has every status once in its tables of statuses, with what each means', () => {
    const tables = page.split('\n| status | meaning | what to do |\n').slice(1);
    const rows = tables.flatMap((table) => table.split('\n\n')[0]!.split('\n').slice(1));
    const statuses = words.filter(({ where }) => where.includes('.status.'));
    assert.ok(statuses.length > 60, `${statuses.length} statuses`);
    const listed = rows.flatMap((row) =>
      [...row.split(' | ')[0]!.matchAll(/`([^`]+)`/g)].map(([, text]) => text!),
    );
    assert.deepEqual(
      listed.filter((one, at) => listed.indexOf(one) !== at),
      [],
    );
    const missing = statuses.filter(({ text }) => !listed.some((one) => fits(one, text)));
    assert.deepEqual(
      missing.map(({ text }) => text),
      [],
    );
    assert.deepEqual(
      rows.filter((row) => row.split(' | ')[1]!.trim() === ''),
      [],
    );
  });

  it('has every message that a node, a form or the log may show, by its text or by its code', () => {
    const known = (quote: Quote, text: string, code: string): boolean =>
      quote.kind === 'code' ? quote.text === code : fits(quote.text, text);
    const missing = sentences.filter(({ text, code }) => !quotes.some((quote) => known(quote, text, code)));
    assert.deepEqual(
      missing.map(({ where, text }) => `${where}: ${text}`),
      [],
    );
  });

  it('has no message that nothing says any more', () => {
    const codes = new Set(sentences.map(({ code }) => code));
    const said = ({ kind, text }: Quote): boolean =>
      kind === 'code' ? codes.has(text) : sentences.some((sentence) => fits(text, sentence.text));
    const gone = quotes.filter((quote) => !quote.example && !said(quote)).map(({ text }) => text);
    assert.deepEqual(gone, []);
  });
});
