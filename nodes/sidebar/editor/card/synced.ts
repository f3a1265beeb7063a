// Synced segments in the card of a queue: size, state, last run and next refresh, with the buttons for a run.
import { lineOf } from '../../../audience-sync/sync-text';
import type { ShownSync } from '../../../audience-sync/synced-segments';
import type { ShownQueue } from '../../overview';
import { ask, call, tell } from '../calls';
import { nodeLink } from '../canvas';
import { button, line, make, rebuild, setShown, setText, showText } from '../dom';
import { number, time, word } from '../words';

const node = 'xandr-audience-sync';
const syncWord = (key: string, params?: Record<string, unknown>): string =>
  word(key, params as Record<string, string | number>, node);

export class SyncedSegments {
  private readonly list = make('ul');
  readonly root = make('div', {}, make('h4', {}, word('part.synced')), this.list);
  private readonly rows = new Map<string, SyncRow>();

  show({ key, synced }: ShownQueue): void {
    setShown(this.root, synced.length > 0);
    const segments = synced.map(({ segment }) => segment);
    for (const segment of this.rows.keys()) if (!segments.includes(segment)) this.rows.delete(segment);
    for (const shown of synced) {
      const row = this.rows.get(shown.segment) ?? new SyncRow(key, shown);
      this.rows.set(shown.segment, row);
      row.show(shown);
    }
    rebuild(this.list, segments, () => segments.map((segment) => this.rows.get(segment)!.root));
  }
}

class SyncRow {
  readonly root: HTMLElement;
  private readonly members = make('span');
  private readonly state = make('p');
  private readonly problem = make('p');
  private readonly lastRun = make('p');
  private readonly accept: HTMLButtonElement;

  constructor(
    private readonly queue: string,
    { segment, node: id, name }: ShownSync,
  ) {
    const label = name === '' ? segmentName(segment) : `${segmentName(segment)} · ${name}`;
    this.accept = button(word('button.acceptRun'), () => {
      const question = word('ask.acceptRun', { name: label, problem: this.problem.textContent });
      ask(question, word('button.acceptRunNow'), () => void this.act('forceSync', segment));
    });
    const preview = button(word('button.preview'), () => void this.act('previewSync', segment));
    preview.title ||= word('tip.preview');
    this.root = make(
      'li',
      {},
      line(nodeLink(id, label) ?? label, this.members),
      this.state,
      this.problem,
      this.lastRun,
      make('div', { class: 'instant-audience-buttons' }, preview, this.accept),
    );
  }

  show(sync: ShownSync): void {
    const { members, problem, ended, phase } = sync;
    setText(this.members, word('sync.members', { many: number(members) }));
    setText(this.state, lineOf({ ...sync, trouble: null }, { _: syncWord }).text);
    showText(
      this.problem,
      problem === null ? null : syncWord(`run.${problem.code}`, figures(problem.params)),
    );
    showText(this.lastRun, ended === null ? null : lastRunText(ended));
    setShown(this.accept, phase === 'refused');
  }

  private async act(action: string, segment: string): Promise<void> {
    tell(await call('POST', `tab/${action}`, { queue: this.queue, segment }));
  }
}

/** `i10001` as `10001`, `c1661:abcd` as `abcd`. */
function segmentName(key: string): string {
  return key.startsWith('i') ? key.slice(1) : key.slice(key.indexOf(':') + 1);
}

function figures(params: Readonly<Record<string, string | number>>): Record<string, string> {
  const texts = Object.entries(params).map(([name, value]) => [
    name,
    typeof value === 'number' ? number(value) : value,
  ]);
  return Object.fromEntries(texts) as Record<string, string>;
}

function lastRunText({ wallMs, report }: NonNullable<ShownSync['ended']>): string {
  const { added, removed } = report;
  return word('sync.lastRun', { time: time(wallMs), added: number(added), removed: number(removed) });
}
