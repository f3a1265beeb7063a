// Card of one queue in the tab: problems first, then one line of figures; opened, also buttons, charts and details.
import type { SharedView } from '../../../../src/delivery/index';
import type { ShownQueue, ShownSegment } from '../../overview';
import { call, tell } from '../calls';
import { nodeLink, nodesOf } from '../canvas';
import { button, Foldable, Listed, make, mayAct, setAttribute, setShown, setText, showText } from '../dom';
import { duration, number, shortNumber, stateText, word } from '../words';
import { Charts } from './charts';
import { Details } from './details';
import { Menu, type MenuItem } from './menu';
import { Problems, problemsOf } from './problems';
import { RejectedReasons } from './rejected';
import { SandboxMembers } from './sandbox';
import { SyncedSegments } from './synced';

/** The line of figures, by the keys of their words. */
const figures: Readonly<Record<string, (queue: ShownQueue) => readonly [text: string, isTrouble: boolean]>> =
  {
    pending: ({ waiting }) => [shortNumber(waiting), false],
    rate: ({ usersPerSecond, usersLimit }) => [
      `${shortNumber(usersPerSecond)} / ${shortNumber(usersLimit)}`,
      false,
    ],
    oldest: ({ waiting, oldestMs, late }) => [waiting === 0 ? '–' : wholeMinutes(oldestMs), late],
    rejected: ({ rejectedToday }) => [shortNumber(rejectedToday), rejectedToday > 0],
  };

export class QueueCard {
  private readonly stateWords = make('span');
  private readonly state = make(
    'span',
    { class: 'instant-audience-state' },
    make('i', { class: 'fa fa-circle', 'aria-hidden': 'true' }),
    this.stateWords,
  );
  readonly fold = new Foldable('', { more: [this.state] }, () => this.showBody());
  readonly charts = new Charts();
  private readonly sandbox = new SandboxMembers();
  private readonly problems = new Problems();
  private readonly figures = new Map<string, HTMLElement>();
  private readonly nodes = new Listed(word('part.nodes'));
  private readonly sharers = make('p');
  private readonly synced = new SyncedSegments();
  private readonly rejected = new RejectedReasons();
  private readonly details = new Details(nameOf);
  private readonly pause = button(word('button.pause'), () => void this.act('pause'));
  private readonly resume = button(word('button.resume'), () => void this.act('resume'));
  private queue: ShownQueue | null = null;
  private segments: readonly ShownSegment[] | null = null;

  constructor() {
    this.fold.note.classList.add('instant-audience-badge');
    this.nodes.list.classList.add('instant-audience-links');
    const menu = new Menu(word('button.more'), () => this.menuItems());
    this.fold.body.before(this.problems.root, this.makeFigures());
    this.fold.body.append(
      this.sandbox.root,
      make('div', { class: 'instant-audience-buttons' }, this.pause, this.resume, menu.root),
      this.sharers,
      this.synced.root,
      this.charts.root,
      this.rejected.root,
      this.nodes.root,
      this.details.root,
    );
  }

  remove(): void {
    this.charts.destroy();
    this.fold.root.remove();
  }

  private makeFigures(): HTMLElement {
    const list = make('dl', { class: 'instant-audience-figures' });
    for (const name of Object.keys(figures)) {
      const value = make('dd');
      this.figures.set(name, value);
      list.append(make('div', {}, make('dt', {}, word(`line.${name}`)), value));
    }
    return list;
  }

  /** @param segments of the sandbox; null if none runs */
  show(queue: ShownQueue, segments: readonly ShownSegment[] | null, atMs: number): void {
    this.queue = queue;
    this.segments = queue.environment === 'sandbox' ? segments : null;
    const name = nameOf(queue);
    setText(this.fold.name, name);
    setAttribute(this.fold.name, 'title', name);
    setText(this.fold.note, word(`badge.${queue.environment}`));
    setAttribute(this.fold.note, 'data-environment', queue.environment);
    setAttribute(this.state, 'data-look', queue.state.look);
    setText(this.stateWords, stateText(queue.state));
    this.problems.show(problemsOf(queue));
    for (const [key, element] of this.figures) {
      const [text, isTrouble] = figures[key]!(queue);
      setText(element, text);
      element.classList.toggle('instant-audience-trouble', isTrouble);
    }
    this.charts.update(queue, atMs);
    if (this.fold.isOpen) this.showBody();
  }

  private showBody(): void {
    const { queue } = this;
    if (queue === null) return;
    setShown(this.pause, queue.state.kind !== 'paused');
    setShown(this.resume, queue.state.kind === 'paused');
    showText(this.sharers, queue.shared === null ? null : sharersOf(queue.shared));
    this.sandbox.show(this.segments);
    this.synced.show(queue);
    this.charts.showFigures();
    this.rejected.show(queue);
    this.nodes.show(nodesOf(queue.accounts), ({ id, name: label }) =>
      make('li', {}, nodeLink(id, label) ?? label),
    );
    this.details.show(queue);
  }

  // ── Actions ─────────────────────────────────────────────────────────────────────────────────────────────────

  private menuItems(): MenuItem[] {
    const kept = this.queue?.rejectedKept ?? 0;
    const item = (name: string, choose: () => void): MenuItem => ({
      text: word(`button.${name}`, { many: number(kept) }),
      title: word(mayAct() ? `tip.${name}` : 'tip.notPermitted'),
      isOff: !mayAct() || (name === 'export' && kept === 0),
      choose,
    });
    return [
      item('flush', () => void this.act('flush')),
      item('retry', () => void this.act('retry')),
      item('export', () => void this.export()),
    ];
  }

  private async act(action: string): Promise<void> {
    const reply = await call('POST', `tab/${action}`, { queue: this.queue?.key });
    if (reply.status !== 200) tell(reply);
  }

  private async export(): Promise<void> {
    const { key, member } = this.queue!;
    const { status, text = '' } = await call('GET', `tab/rejected?queue=${encodeURIComponent(key)}`);
    if (status === 200) saveAs(`rejected-${member}.json`, text);
    else tell({ status: 500, body: { code: 'exportFailed' } });
  }
}

function saveAs(name: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type: 'application/json' }));
  make('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function nameOf({ accounts, origin, member }: ShownQueue): string {
  const names = accounts.map(({ name }) => name).join(', ');
  return names === '' ? word('queue.unnamed', { origin, member }) : names;
}

/** There is little room. */
function wholeMinutes(ms: number): string {
  return duration(ms < 60_000 ? ms : Math.floor(ms / 60_000) * 60_000);
}

/** `2 instances share it. Sends: node-2. The others: node-1.` */
function sharersOf({ sender, instances, kept }: SharedView): string {
  const at = sender === null ? -1 : instances.indexOf(sender);
  const others = instances.filter((_name, index) => index !== at);
  const sentences = [
    word('shared.instances', { many: number(instances.length) }),
    sender === null ? word('shared.nobody') : word('shared.sender', { sender }),
    others.length === 0 ? '' : word('shared.others', { names: others.join(', ') }),
    kept === 0 ? '' : word('shared.kept', { kept: number(kept) }),
  ];
  return sentences.filter((sentence) => sentence !== '').join(' ');
}
