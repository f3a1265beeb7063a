// What docs/troubleshooting.md and docs/internals/messages.md quote: the first cells of its tables, which are texts, codes or statuses.

export interface Quote {
  /** A `code` is that of a rejected entry, spelt as in `msg.audience`. */
  readonly kind: 'text' | 'code';
  /** `…` stands for whatever is there. */
  readonly text: string;
  /** One of several that the cell describes as a group, such as `http_4…`. */
  readonly example: boolean;
}

/** The first cell of its head identifies a table. */
const heads: Readonly<Record<string, Quote['kind']>> = {
  status: 'text',
  code: 'code',
  line: 'text',
  'line begins with': 'text',
  'message begins with': 'text',
  'answer begins with': 'text',
};

export function quotedIn(page: string): Quote[] {
  const quotes: Quote[] = [];
  let kind: Quote['kind'] | null = null;
  for (const line of page.split('\n')) {
    const cell = /^\| (.*?) +\|/.exec(line)?.[1]?.trim();
    if (cell === undefined || cell === '') {
      kind = null;
      continue;
    }
    if (/^-+$/.test(cell)) continue;
    if (kind === null) {
      kind = heads[cell] ?? null;
      continue;
    }
    quotes.push(...(kind === 'code' ? codesIn(cell) : textsIn(cell)));
  }
  return quotes;
}

function codesIn(text: string): Quote[] {
  return spansIn(text).map((code) => ({ kind: 'code', text: code, example: /[…_]$/.test(code) }));
}

/** A status stands in a code span; a sentence stands as it is, and ` / ` is between several. */
function textsIn(cell: string): Quote[] {
  const spans = cell.startsWith('`') ? spansIn(cell) : cell.split(' / ');
  return spans.map((text) => ({ kind: 'text', text: text.trim(), example: false }));
}

function spansIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
}

/**
 * Whether a quote is the beginning of a sentence whose values are written as `…`; in the quote, a value may be
 * written out, as in `paused 24 s`.
 */
export function fits(quote: string, sentence: string): boolean {
  return patternOf(quote, '').test(sentence) || patternOf(sentence, '$').test(quote);
}

function patternOf(text: string, end: string): RegExp {
  const literal = text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('…', '.+?')}${end}`);
}
