// Card of one queue in the tab: its state, figures, last hour, and buttons.
import type { Sample, SharedView } from '../../../src/delivery/index';
import type { SidebarRed } from '../../types/red-sidebar';
import type { ShownQueue } from '../overview';
import { call, saveAs, text } from './api';
import { purge, tell } from './ask';
import { Charts } from './charts';
import { button, Foldable, make, setAttribute, setLines, setShown, setText } from './dom';
import { detailOf, stateText } from './state-words';
import { duration, number, outWord, shortNumber, time, word, wordOr } from './words';

declare const RED: SidebarRed;

const figures = [
  'queue',
  'inFlight',
  'rate',
  'drain',
  'oldest',
  'accepted',
  'superseded',
  'expired',
  'rejected',
  'invalid',
  'unaccounted',
] as const;
type Figure = (typeof figures)[number];

export class QueueCard {
  private readonly name = make('span', { class: 'instant-audience-name' });
  private readonly sum = make('span', { class: 'instant-audience-sum' });
  private readonly stateWords = make('span');
  private readonly state = make(
    'span',
    { class: 'instant-audience-state' },
    make('i', { class: 'fa fa-circle', 'aria-hidden': 'true' }),
    this.stateWords,
  );
  private readonly late = make('p', { class: 'instant-audience-late', role: 'status' });
  private readonly segments = make('ul');
  private readonly about = make('p');
  private readonly sharers = make('p');
  private readonly detail = make('p');
  private readonly figures = new Map<Figure, HTMLElement>();
  private readonly rejected = make('ul');
  private readonly rejectedPart = make('div', {}, make('h4', {}, word('part.rejected')), this.rejected);
  private readonly errors = make('ul');
  private readonly errorsPart = make('div', {}, make('h4', {}, word('part.errors')), this.errors);
  private readonly charts = new Charts();
  private readonly fold = new Foldable([this.name, this.sum, this.state], () => this.showLast());
  private readonly buttons: Readonly<
    Record<'pause' | 'resume' | 'flush' | 'retry' | 'export' | 'purge', HTMLButtonElement>
  >;
  private shown: { queue: ShownQueue; atMs: number } | null = null;

  constructor() {
    const act = (action: string) => () => void this.act(action);
    this.buttons = {
      pause: button(word('button.pause'), act('pause')),
      resume: button(word('button.resume'), act('resume')),
      flush: button(word('button.flush'), act('flush')),
      retry: button(word('button.retry'), act('retry')),
      export: button(word('button.export'), () => void this.export()),
      purge: button(
        word('button.purge'),
        () => void purge('purge', this.key, nameOf(this.shown!.queue)),
        'instant-audience-button-danger',
      ),
    };
    for (const name of ['flush', 'retry', 'purge'] as const) this.buttons[name].title = word(`tip.${name}`);
    this.fold.head.parentElement!.after(this.late, this.segments);
    this.fold.body.append(
      this.detail,
      this.sharers,
      this.charts.root,
      this.makeFigures(),
      make('div', { class: 'instant-audience-buttons' }, ...Object.values(this.buttons)),
      this.rejectedPart,
      this.errorsPart,
      this.about,
    );
  }

  get root(): HTMLElement {
    return this.fold.root;
  }

  open(): void {
    this.fold.open(true);
  }

  setHistory(samples: readonly Sample[]): void {
    this.charts.setHistory(samples);
  }

  remove(): void {
    this.charts.destroy();
    this.root.remove();
  }

  private makeFigures(): HTMLElement {
    const list = make('dl');
    for (const name of figures) {
      const value = make('dd');
      this.figures.set(name, value);
      const term = make('dt', {}, word(`figure.${name}`));
      const tip = wordOr(`tip.${name}`, '');
      if (tip !== '') term.title = tip;
      list.append(term, value);
    }
    return list;
  }

  show(queue: ShownQueue, atMs: number): void {
    this.shown = { queue, atMs };
    const name = nameOf(queue);
    setText(this.name, name);
    setAttribute(this.name, 'title', name);
    setAttribute(this.state, 'data-look', queue.state.look);
    setText(this.stateWords, stateText(queue.state));
    setText(this.sum, sumOf(queue));
    setShown(this.late, queue.late);
    if (queue.late) {
      // A figure that changed every second would be read out every second.
      const params = {
        oldest: duration(Math.floor(queue.oldestMs / 60_000) * 60_000),
        limit: duration(queue.warnAfterMs),
      };
      setText(this.late, word('late', params));
    }
    this.showSegments(queue);
    this.charts.update(queue, atMs);
    if (this.fold.isOpen) this.showBody(queue);
  }

  private showSegments({ segments }: ShownQueue): void {
    const sentences = segments.map(({ key, params }) => outWord(`segment.${key}`, params));
    if (this.segments.dataset.told === sentences.join('\n')) return;
    this.segments.dataset.told = sentences.join('\n');
    const lines = sentences.map((sentence) => make('li', { class: 'instant-audience-late' }, sentence));
    this.segments.replaceChildren(...lines);
  }

  private showLast(): void {
    if (this.shown !== null) this.showBody(this.shown.queue);
  }

  private showBody(queue: ShownQueue): void {
    const { state } = queue;
    setShown(this.detail, state.message !== null);
    setText(this.detail, detailOf(state));
    setAttribute(this.detail, 'title', state.message ?? '');
    const said = figuresOf(queue);
    for (const [name, element] of this.figures) setText(element, said[name]);
    const codes = Object.entries(queue.rejectedByCode).sort(([, a], [, b]) => b - a);
    setShown(this.rejectedPart, codes.length > 0);
    setLines(
      this.rejected,
      codes.map(([code, count]) => [wordOr(`code.${code}`, word('code.other', { code })), number(count)]),
    );
    setShown(this.errorsPart, queue.errors.length > 0);
    setLines(
      this.errors,
      queue.errors.map(({ text: words, times, atMs }) => [
        times > 1 ? `${words} (×${number(times)})` : words,
        time(atMs),
      ]),
    );
    setText(this.about, aboutOf(queue));
    setShown(this.sharers, queue.shared !== null);
    if (queue.shared !== null) setText(this.sharers, sharersOf(queue.shared));
    this.showButtons(queue);
  }

  private showButtons({ state, waiting, rejectedKept }: ShownQueue): void {
    const mayAct = RED.user.hasPermission('instant-audience.write');
    const isPaused = state.kind === 'paused';
    const { buttons } = this;
    setShown(buttons.pause, !isPaused);
    setShown(buttons.resume, isPaused);
    for (const each of Object.values(buttons)) {
      each.disabled = !mayAct;
      if (!mayAct) each.title = word('tip.notPermitted');
    }
    buttons.export.disabled ||= rejectedKept === 0;
    buttons.purge.disabled ||= waiting === 0;
    setText(buttons.export, word('button.export', { many: number(rejectedKept) }));
  }

  // ── Buttons ─────────────────────────────────────────────────────────────────────────────────────────────────

  private get key(): string {
    return this.shown?.queue.key ?? '';
  }

  private async act(action: string): Promise<void> {
    const reply = await call('POST', `tab/${action}`, { queue: this.key });
    if (reply.status !== 200) tell(reply);
  }

  private async export(): Promise<void> {
    const { queue } = this.shown!;
    const found = await text(`tab/rejected?queue=${encodeURIComponent(queue.key)}`);
    if (found === null) tell({ status: 500, body: { code: 'exportFailed' } });
    else saveAs(`rejected-${queue.member}.json`, found, 'application/json');
  }
}

function nameOf({ accounts, origin, member }: ShownQueue): string {
  const names = accounts.map(({ name }) => name).join(', ');
  return names === '' ? word('queue.unnamed', { origin, member }) : names;
}

function sumOf({ waiting, usersPerSecond }: ShownQueue): string {
  return word('queue.sum', { waiting: shortNumber(waiting), rate: shortNumber(usersPerSecond) });
}

function aboutOf({ origin, member, durable, shared, sinceWallMs }: ShownQueue): string {
  const place =
    shared === null ? word(durable ? 'queue.onDisk' : 'queue.inMemory') : word('queue.inDatabase');
  const service = origin === 'sandbox' ? word('queue.sandbox') : origin;
  return word('queue.about', { service, member, place, time: time(sinceWallMs) });
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

function figuresOf(queue: ShownQueue): Record<Figure, string> {
  const { drainSeconds, waiting, oldestMs } = queue;
  return {
    queue: number(waiting),
    inFlight: number(queue.postsInFlight),
    rate: word('figure.rateOf', { rate: number(queue.usersPerSecond), limit: number(queue.usersLimit) }),
    drain:
      waiting === 0
        ? '–'
        : drainSeconds === null
          ? word('figure.drainUnknown')
          : duration(drainSeconds * 1000),
    oldest: waiting === 0 ? '–' : duration(oldestMs),
    accepted: number(queue.accepted),
    superseded: number(queue.superseded),
    expired: number(queue.expired),
    rejected: number(queue.rejected),
    invalid: number(queue.invalid),
    unaccounted: word('figure.unaccountedOf', {
      users: number(queue.unaccounted.users),
      segments: number(queue.unaccounted.segments),
    }),
  };
}
