// Rejected and invalid entries by reason; each reason opens its last entry, with links to the node and the docs.
import type { ShownQueue } from '../../overview';
import { call } from '../calls';
import { nodeLink } from '../canvas';
import { docsLink, line, Listed, make, mayAct, opener } from '../dom';
import { number, time, word, wordOr } from '../words';

/** As the route gives it. */
interface Rejected {
  readonly time: string;
  readonly node: string;
  readonly message: string;
  readonly entry: unknown;
}

interface Row {
  readonly root: HTMLElement;
  readonly count: HTMLElement;
}

export class RejectedReasons {
  private readonly listed = new Listed(word('part.rejected'));
  readonly root = this.listed.root;
  private readonly rows = new Map<string, Row>();

  show({ key, rejectedByCode }: ShownQueue): void {
    const counts = Object.entries(rejectedByCode).sort(([, a], [, b]) => b - a);
    // An open example stays as it is when only counts change.
    this.listed.show(
      counts.map(([code]) => code),
      (code) => this.rowOf(key, code).root,
    );
    for (const [code, count] of counts) this.rowOf(key, code).count.textContent = number(count);
  }

  private rowOf(queue: string, code: string): Row {
    const known = this.rows.get(code);
    if (known !== undefined) return known;
    const example = make('div', { class: 'instant-audience-example' });
    const reason = wordOr(`code.${code}`, word('code.other', { code }));
    const count = make('span');
    const open = opener(reason, example, () => void showExample(queue, code, example));
    const row = { root: make('li', {}, line(open, count), example), count };
    this.rows.set(code, row);
    return row;
  }
}

async function showExample(queue: string, code: string, place: HTMLElement): Promise<void> {
  const links = make('p', { class: 'instant-audience-links' }, docsLink('codes'));
  const found = mayAct() ? await lastOf(queue, code) : null;
  if (found === null) {
    place.replaceChildren(make('p', {}, word(mayAct() ? 'example.none' : 'tip.notPermitted')), links);
    return;
  }
  const node = nodeLink(found.node, word('example.node'));
  if (node !== null) links.prepend(node);
  place.replaceChildren(
    make('p', {}, found.message),
    make('p', {}, word('example.entry', { time: time(Date.parse(found.time)) })),
    make('pre', { tabindex: '0' }, JSON.stringify(found.entry, null, 1)),
    links,
  );
}

async function lastOf(queue: string, code: string): Promise<Rejected | null> {
  const query = `queue=${encodeURIComponent(queue)}&code=${encodeURIComponent(code)}`;
  const { body } = await call('GET', `tab/rejected?${query}`);
  return (body[0] as Rejected | undefined) ?? null;
}
