// The rows of the table, as text for the terminal and as Markdown for docs/internals/.

export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly against: string;
  /** Figure ÷ against. */
  readonly ratio?: number;
  /** Empty when the row is only reported. */
  readonly goal?: string;
  readonly reached?: boolean;
  /** How it was measured, or why it was not. */
  readonly note?: string;
}

export interface PartResult {
  readonly title: string;
  readonly rows: readonly Row[];
  /** Markdown below the table. */
  readonly more?: string;
  /** A file of docs/images/, which `more` shows. */
  readonly picture?: { readonly file: string; readonly svg: string };
}

const head = ['figure of', 'ours', 'against', 'ratio', 'goal', 'reached'];

function cells(row: Row): string[] {
  const ratio = row.ratio === undefined ? '' : `${row.ratio.toPrecision(3)} ×`;
  const reached = row.reached === undefined ? '' : row.reached ? 'yes' : '**no**';
  return [row.what, row.figure, row.against, ratio, row.goal ?? '', reached];
}

export function asText({ title, rows }: PartResult): string {
  const lines = rows.map((row) => {
    const [what, figure, against, ratio, goal, reached] = cells(row);
    const wanted = goal === '' ? '' : `  goal ${goal}: ${reached!.replaceAll('*', '')}`;
    return `  ${what}: ${figure}  |  ${against}  ${ratio === '' ? '' : `|  ${ratio}`}${wanted}${row.note === undefined ? '' : `\n      ${row.note}`}`;
  });
  return [title, ...lines].join('\n');
}

export function asMarkdown(title: string, facts: readonly string[], results: readonly PartResult[]): string {
  const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
  const out = [`# ${title}`, '', ...facts.map((fact) => `- ${fact}`), ''];
  for (const { title: part, rows, more } of results) {
    out.push(`## ${part}`, '', line(head), line(head.map(() => '---')));
    out.push(...rows.map((row) => line(cells(row))), '');
    const notes = rows.filter(({ note }) => note !== undefined);
    out.push(...notes.map(({ what, note }) => `- ${what}: ${note!}`));
    if (notes.length > 0) out.push('');
    if (more !== undefined) out.push(more, '');
  }
  return `${out.join('\n').trimEnd()}\n`;
}

export function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString('en-US')}/s`;
}

export function ms(value: number): string {
  return value >= 10_000
    ? `${(value / 1000).toFixed(0)} s`
    : value >= 1000
      ? `${(value / 1000).toFixed(2)} s`
      : value >= 10
        ? `${value.toFixed(0)} ms`
        : `${value.toFixed(2)} ms`;
}

export function us(value: number): string {
  return `${value.toPrecision(3)} µs`;
}

export function mb(bytes: number): string {
  return `${Math.round(bytes / 1_000_000)} MB`;
}

/** The highest load average of one minute, when a run begins, with which its figures may be quoted. */
export const quietLoad = 0.3;
