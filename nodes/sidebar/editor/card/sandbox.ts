// Members of the sandbox's segments, in the card of its queue.
import type { ShownSegment } from '../../overview';
import { call } from '../calls';
import { line, make, opener, rebuild, setShown } from '../dom';
import { number, time, word } from '../words';

/** Of one segment; more are counted. */
const mostShown = 50;
/** Segments with few members open by themselves, as long as few do. */
const fewMembers = 10;
const fewSegments = 4;
/** Of an open segment whose count stays the same. */
const refreshMs = 5_000;

interface Membership {
  readonly user_id: string;
  readonly domain: string | null;
  readonly value: number | null;
  readonly expires: string | null;
}

export class SandboxMembers {
  private readonly list = make('ul');
  private readonly empty = make('p', {}, word('sandbox.empty'));
  readonly root = make(
    'div',
    {},
    make('h4', { title: word('sandbox.about') }, word('part.sandbox')),
    this.empty,
    this.list,
  );
  private readonly rows = new Map<string, SegmentRow>();

  constructor() {
    this.root.hidden = true;
  }

  show(segments: readonly ShownSegment[] | null): void {
    setShown(this.root, segments !== null);
    const shown = segments ?? [];
    setShown(this.empty, shown.length === 0);
    const ids = shown.map(({ segment }) => segment);
    for (const id of this.rows.keys()) if (!ids.includes(id)) this.rows.delete(id);
    for (const segment of shown) {
      const isFew = segment.count <= fewMembers && this.rows.size < fewSegments;
      if (!this.rows.has(segment.segment)) this.rows.set(segment.segment, new SegmentRow(segment, isFew));
    }
    rebuild(this.list, ids, () => ids.map((id) => this.rows.get(id)!.root));
    for (const segment of shown) this.rows.get(segment.segment)!.show(segment.count);
  }
}

class SegmentRow {
  readonly root: HTMLElement;
  private readonly count = make('span');
  private readonly members = make('ul', { class: 'instant-audience-members' });
  /** The count with which the members were loaded, and when. */
  private loaded = { count: -1, atMs: 0 };

  constructor(
    private readonly segment: ShownSegment,
    isOpen: boolean,
  ) {
    const { segment: id, name, count } = segment;
    const text = name === null ? id : `${id} · ${name}`;
    const open = opener(text, this.members, () => this.show(count));
    this.root = make('li', {}, line(open, this.count), this.members);
    if (isOpen) open.click();
  }

  show(count: number): void {
    this.count.textContent = word('sandbox.users', { many: number(count) });
    const { loaded, members } = this;
    if (members.hidden || (count === loaded.count && Date.now() < loaded.atMs + refreshMs)) return;
    this.loaded = { count, atMs: Date.now() };
    void this.load();
  }

  private async load(): Promise<void> {
    const { body } = await call('GET', `sandbox/members?segment=${encodeURIComponent(this.segment.segment)}`);
    const found = body[0] as { members?: readonly Membership[]; count?: number } | undefined;
    const members = (found?.members ?? []).slice(0, mostShown);
    const more = (found?.count ?? 0) - members.length;
    const texts = members.map(textOf);
    if (more > 0) texts.push(word('sandbox.more', { many: number(more) }));
    if (texts.length === 0) texts.push(word('sandbox.nobody'));
    rebuild(this.members, texts, () => texts.map((text) => make('li', {}, text)));
  }
}

function textOf({ user_id: id, domain, value, expires }: Membership): string {
  const kind = domain === null ? '' : ` (${domain})`;
  const worth = value === null ? '' : `, ${word('sandbox.value', { value })}`;
  const until =
    expires === null ? word('sandbox.forever') : word('sandbox.until', { time: time(Date.parse(expires)) });
  return `${id}${kind}${worth}, ${until}`;
}
