// The folded part of a card: further figures, the last errors, where the queue is, and its purge.
import type { ShownQueue } from '../../overview';
import { purge } from '../calls';
import { button, Foldable, line, Listed, make, mayAct, setText, wrapped } from '../dom';
import { duration, number, time, word, wordOr } from '../words';

/** By the keys of their words, in the order in which they stand. */
const figures: Readonly<Record<string, (queue: ShownQueue) => string>> = {
  accepted: ({ accepted }) => number(accepted),
  superseded: ({ superseded }) => number(superseded),
  expired: ({ expired }) => number(expired),
  rejected: ({ rejected }) => number(rejected),
  invalid: ({ invalid }) => number(invalid),
  unaccounted: ({ unaccounted: { users, segments } }) =>
    word('figure.unaccountedOf', { users: number(users), segments: number(segments) }),
  inFlight: ({ postsInFlight }) => number(postsInFlight),
  drain: ({ waiting, drainSeconds }) => {
    if (waiting === 0) return '–';
    return drainSeconds === null ? word('figure.drainUnknown') : duration(drainSeconds * 1000);
  },
};

export class Details {
  private readonly fold = new Foldable(word('part.details'), { level: 'h4' }, () => this.showOpen());
  readonly root = this.fold.root;
  private readonly figures = new Map<(queue: ShownQueue) => string, HTMLElement>();
  private readonly errors = new Listed(word('part.errors'));
  private readonly about = make('p');
  private readonly purge = button(word('button.purge'), () => this.discard(), true);
  private queue: ShownQueue | null = null;

  /** @param nameOf a queue's name, for the question before a purge */
  constructor(private readonly nameOf: (queue: ShownQueue) => string) {
    if (mayAct()) this.purge.title = word('tip.purge');
    this.fold.body.append(
      this.makeFigures(),
      this.errors.root,
      this.about,
      make('div', { class: 'instant-audience-buttons' }, this.purge),
    );
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

  show(queue: ShownQueue): void {
    this.queue = queue;
    if (this.fold.isOpen) this.showOpen();
  }

  private showOpen(): void {
    const { queue } = this;
    if (queue === null) return;
    for (const [figure, element] of this.figures) setText(element, figure(queue));
    this.errors.show(queue.errors, ({ text, times, atMs }) => {
      const said = times > 1 ? `${text} (×${number(times)})` : text;
      return make('li', {}, line(make('span', {}, ...wrapped(said)), time(atMs)));
    });
    setText(this.about, aboutOf(queue));
    this.purge.disabled = !mayAct() || queue.waiting === 0;
  }

  private discard(): void {
    if (this.queue !== null) void purge('purge', this.queue.key, this.nameOf(this.queue));
  }
}

function aboutOf({ origin, member, durable, shared, sinceWallMs }: ShownQueue): string {
  const place =
    shared === null ? word(durable ? 'queue.onDisk' : 'queue.inMemory') : word('queue.inDatabase');
  const service = origin === 'sandbox' ? word('queue.sandbox') : origin;
  return word('queue.about', { service, member, place, time: time(sinceWallMs) });
}
