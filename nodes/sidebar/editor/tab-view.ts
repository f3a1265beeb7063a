// View of the whole tab: a card for each queue, then the sandbox, orphaned queues, and the erasure of a user.
import type { IdleAccount, ShownQueue } from '../overview';
import type { Update } from './connection';
import { Lines, make, setShown, showText } from './dom';
import { PrivacyPart } from './parts/privacy';
import { OrphanedPart } from './parts/orphaned';
import { QueueCard } from './card/queue-card';
import { SandboxPart } from './parts/sandbox';
import { word } from './words';

/** With more queues than this all begin closed. */
const mostOpen = 2;

export class TabView {
  readonly root = make('div', {
    class: 'instant-audience-tab',
    role: 'region',
    'aria-label': word('tab.name'),
  });
  private readonly queues = make('div');
  private readonly nothing = make('p', {}, word('queue.none'));
  private readonly unused = make('p');
  private readonly broken = new Lines();
  private readonly cards = new Map<string, QueueCard>();
  private readonly sandbox = new SandboxPart();
  private readonly orphaned = new OrphanedPart();
  private isFirst = true;

  constructor() {
    this.root.append(
      this.nothing,
      this.queues,
      this.broken.root,
      this.unused,
      this.orphaned.root,
      this.sandbox.root,
      new PrivacyPart().root,
    );
    this.sandbox.root.hidden = this.orphaned.root.hidden = true;
  }

  show(update: Update): void {
    const { queues, idle, orphaned, sandbox, histories, atMs } = update;
    setShown(this.nothing, queues.length === 0);
    const keys = new Set(queues.map(({ key }) => key));
    for (const [key, card] of this.cards) {
      if (keys.has(key)) continue;
      card.remove();
      this.cards.delete(key);
    }
    queues.forEach((queue, at) => {
      const card = this.cardOf(queue, queues.length, histories);
      // Moving an element takes the focus away, so only one that is elsewhere is.
      if (this.queues.children[at] !== card.fold.root)
        this.queues.insertBefore(card.fold.root, this.queues.children[at] ?? null);
      card.show(queue, atMs);
    });
    if (queues.length > 0) this.isFirst = false;
    this.showIdle(idle);
    const atWork = queues.filter(
      ({ origin, shared, durable }) => origin !== 'sandbox' && shared === null && durable,
    );
    const used = queues.flatMap(({ accounts }) => accounts);
    this.orphaned.show(
      orphaned,
      atWork.flatMap(({ accounts }) => accounts),
      [...used, ...idle],
    );
    this.sandbox.show(sandbox);
  }

  private showIdle(idle: Update['idle']): void {
    const unused = idle.filter(({ problem }) => problem === null).map(({ name }) => name);
    showText(this.unused, unused.length > 0 ? word('queue.unused', { names: unused.join(', ') }) : null);
    this.broken.show(
      idle.flatMap(({ name, problem }) => (problem === null ? [] : [[brokenText(name, problem), '']])),
    );
  }

  private cardOf({ key }: ShownQueue, count: number, histories: Update['histories']): QueueCard {
    let card = this.cards.get(key);
    if (card === undefined) {
      card = new QueueCard();
      this.cards.set(key, card);
      if (this.isFirst && count <= mostOpen) card.fold.open(true);
    }
    const history = histories[key];
    if (history !== undefined) card.charts.setHistory(history);
    return card;
  }
}

function brokenText(name: string, { key, params }: NonNullable<IdleAccount['problem']>): string {
  const reason = word(key, params, 'xandr-account');
  return word('queue.broken', { name, reason });
}
