// Card of one queue in the tab: its state, figures, last hour, and buttons.
import type { SharedView } from '../../../../src/delivery/index';
import type { ShownQueue } from '../../overview';
import { call, purge, tell } from '../calls';
import { Charts } from './charts';
import { button, Foldable, Lines, make, mayAct, setAttribute, setShown, setText, showText } from '../dom';
import { detailOf, duration, number, outWord, shortNumber, stateText, time, word, wordOr } from '../words';

/** By the keys of their words, in the order in which they stand. */
const figures: Readonly<Record<string, (queue: ShownQueue) => string>> = {
  queue: ({ waiting }) => number(waiting),
  inFlight: ({ postsInFlight }) => number(postsInFlight),
  rate: ({ usersPerSecond, usersLimit }) =>
    word('figure.rateOf', { rate: number(usersPerSecond), limit: number(usersLimit) }),
  drain: ({ waiting, drainSeconds }) => {
    if (waiting === 0) return '–';
    return drainSeconds === null ? word('figure.drainUnknown') : duration(drainSeconds * 1000);
  },
  oldest: ({ waiting, oldestMs }) => (waiting === 0 ? '–' : duration(oldestMs)),
  accepted: ({ accepted }) => number(accepted),
  superseded: ({ superseded }) => number(superseded),
  expired: ({ expired }) => number(expired),
  rejected: ({ rejected }) => number(rejected),
  invalid: ({ invalid }) => number(invalid),
  unaccounted: ({ unaccounted: { users, segments } }) =>
    word('figure.unaccountedOf', { users: number(users), segments: number(segments) }),
};

export class QueueCard {
  private readonly stateWords = make('span');
  private readonly state = make(
    'span',
    { class: 'instant-audience-state' },
    make('i', { class: 'fa fa-circle', 'aria-hidden': 'true' }),
    this.stateWords,
  );
  readonly fold = new Foldable('', [this.state], () => this.showBody());
  readonly charts = new Charts();
  private readonly late = make('p', { class: 'instant-audience-late', role: 'status' });
  private readonly segments = make('ul');
  private readonly about = make('p');
  private readonly sharers = make('p');
  private readonly detail = make('p');
  private readonly figures = new Map<(queue: ShownQueue) => string, HTMLElement>();
  private readonly rejected = new Lines(word('part.rejected'));
  private readonly errors = new Lines(word('part.errors'));
  private readonly buttons = {
    pause: button(word('button.pause'), () => void this.act('pause')),
    resume: button(word('button.resume'), () => void this.act('resume')),
    flush: button(word('button.flush'), () => void this.act('flush')),
    retry: button(word('button.retry'), () => void this.act('retry')),
    export: button(word('button.export'), () => void this.export()),
    purge: button(word('button.purge'), () => void this.purge(), true),
  };
  private queue: ShownQueue | null = null;

  constructor() {
    if (mayAct())
      for (const name of ['flush', 'retry', 'purge'] as const) this.buttons[name].title = word(`tip.${name}`);
    this.fold.head.parentElement!.after(this.late, this.segments);
    this.fold.body.append(
      this.detail,
      this.sharers,
      this.charts.root,
      this.makeFigures(),
      make('div', { class: 'instant-audience-buttons' }, ...Object.values(this.buttons)),
      this.rejected.root,
      this.errors.root,
      this.about,
    );
  }

  remove(): void {
    this.charts.destroy();
    this.fold.root.remove();
  }

  private makeFigures(): HTMLElement {
    const list = make('dl');
    for (const [name, figure] of Object.entries(figures)) {
      const value = make('dd');
      this.figures.set(figure, value);
      const term = make('dt', {}, word(`figure.${name}`));
      const tip = wordOr(`tip.${name}`, '');
      if (tip !== '') term.title = tip;
      list.append(term, value);
    }
    return list;
  }

  show(queue: ShownQueue, atMs: number): void {
    this.queue = queue;
    const name = nameOf(queue);
    setText(this.fold.name, name);
    setAttribute(this.fold.name, 'title', name);
    setAttribute(this.state, 'data-look', queue.state.look);
    setText(this.stateWords, stateText(queue.state));
    setText(this.fold.sum, sumOf(queue));
    showText(this.late, lateOf(queue));
    this.showSegments(queue);
    this.charts.update(queue, atMs);
    if (this.fold.isOpen) this.showBody();
  }

  private showSegments({ segments }: ShownQueue): void {
    const sentences = segments.map(({ key, params }) => outWord(`segment.${key}`, params));
    if (this.segments.dataset.told === sentences.join('\n')) return;
    this.segments.dataset.told = sentences.join('\n');
    const lines = sentences.map((sentence) => make('li', { class: 'instant-audience-late' }, sentence));
    this.segments.replaceChildren(...lines);
  }

  private showBody(): void {
    const { queue } = this;
    if (queue === null) return;
    const { state } = queue;
    showText(this.detail, detailOf(state));
    setAttribute(this.detail, 'title', state.message ?? '');
    for (const [figure, element] of this.figures) setText(element, figure(queue));
    const codes = Object.entries(queue.rejectedByCode).sort(([, a], [, b]) => b - a);
    this.rejected.show(
      codes.map(([code, count]) => [wordOr(`code.${code}`, word('code.other', { code })), number(count)]),
    );
    this.errors.show(
      queue.errors.map(({ text: words, times, atMs }) => [
        times > 1 ? `${words} (×${number(times)})` : words,
        time(atMs),
      ]),
    );
    setText(this.about, aboutOf(queue));
    showText(this.sharers, queue.shared === null ? null : sharersOf(queue.shared));
    this.showButtons(queue);
  }

  private showButtons({ state, waiting, rejectedKept }: ShownQueue): void {
    const { pause, resume, export: save, purge: discard } = this.buttons;
    const isPaused = state.kind === 'paused';
    setShown(pause, !isPaused);
    setShown(resume, isPaused);
    save.disabled = !mayAct() || rejectedKept === 0;
    discard.disabled = !mayAct() || waiting === 0;
    setText(save, word('button.export', { many: number(rejectedKept) }));
  }

  // ── Buttons ─────────────────────────────────────────────────────────────────────────────────────────────────

  private async act(action: string): Promise<void> {
    const reply = await call('POST', `tab/${action}`, { queue: this.queue?.key });
    if (reply.status !== 200) tell(reply);
  }

  private purge(): Promise<void> {
    return purge('purge', this.queue!.key, nameOf(this.queue!));
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

function lateOf({ late, oldestMs, warnAfterMs }: ShownQueue): string | null {
  // A figure that changed every second would be read out every second.
  const oldest = duration(Math.floor(oldestMs / 60_000) * 60_000);
  return late ? word('late', { oldest, limit: duration(warnAfterMs) }) : null;
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
