// Members of the sandbox's segments.
import type { ShownSegment } from '../../overview';
import { call } from '../calls';
import { Foldable, make, setShown, setText } from '../dom';
import { number, time, word } from '../words';

/** Of one segment; more are counted. */
const mostShown = 50;

interface Membership {
  readonly user_id: string;
  readonly domain: string | null;
  readonly value: number | null;
  readonly expires: string | null;
}

interface Row {
  readonly root: HTMLElement;
  readonly count: HTMLElement;
}

export class SandboxPart {
  private readonly fold = new Foldable(word('part.sandbox'));
  readonly root = this.fold.root;
  private readonly list = make('ul');
  private readonly empty = make('p', {}, word('sandbox.empty'));
  private readonly rows = new Map<string, Row>();

  constructor() {
    this.fold.body.append(make('p', {}, word('sandbox.about')), this.empty, this.list);
  }

  show(segments: readonly ShownSegment[] | null): void {
    setShown(this.root, segments !== null);
    const shown = segments ?? [];
    setShown(this.empty, shown.length === 0);
    const ids = new Set(shown.map(({ segment }) => segment));
    for (const [id, { root }] of this.rows) {
      if (ids.has(id)) continue;
      root.remove();
      this.rows.delete(id);
    }
    for (const segment of shown) this.showSegment(segment);
  }

  private showSegment({ segment, name, count }: ShownSegment): void {
    let row = this.rows.get(segment);
    if (row === undefined) {
      row = this.makeRow(segment, name);
      this.rows.set(segment, row);
      this.list.append(row.root);
    }
    setText(row.count, word('sandbox.users', { many: number(count) }));
  }

  private makeRow(segment: string, name: string | null): Row {
    const text = name === null ? segment : `${segment} · ${name}`;
    const link = make(
      'button',
      { type: 'button', class: 'instant-audience-link', 'aria-expanded': 'false' },
      text,
    );
    const count = make('span');
    const members = make('ul', { class: 'instant-audience-members' });
    members.hidden = true;
    link.addEventListener('click', () => {
      members.hidden = !members.hidden;
      link.setAttribute('aria-expanded', String(!members.hidden));
      if (!members.hidden) void showMembers(segment, members);
    });
    const line = make('div', { class: 'instant-audience-line' }, link, count);
    return { root: make('li', {}, line, members), count };
  }
}

async function showMembers(segment: string, list: HTMLElement): Promise<void> {
  const { body } = await call('GET', `sandbox/members?segment=${encodeURIComponent(segment)}`);
  const found = Object.values(body)[0] as { members?: readonly Membership[]; count?: number } | undefined;
  const members = found?.members ?? [];
  const lines = members.slice(0, mostShown).map((one) => make('li', {}, textOf(one)));
  const more = (found?.count ?? 0) - lines.length;
  if (more > 0) lines.push(make('li', {}, word('sandbox.more', { many: number(more) })));
  if (lines.length === 0) lines.push(make('li', {}, word('sandbox.nobody')));
  list.replaceChildren(...lines);
}

function textOf({ user_id: id, domain, value, expires }: Membership): string {
  const kind = domain === null ? '' : ` (${domain})`;
  const worth = value === null ? '' : `, ${word('sandbox.value', { value })}`;
  const until =
    expires === null ? word('sandbox.forever') : word('sandbox.until', { time: time(Date.parse(expires)) });
  return `${id}${kind}${worth}, ${until}`;
}
