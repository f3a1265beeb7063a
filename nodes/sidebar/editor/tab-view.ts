// View of the whole tab: what needs an operator and orphaned queues first, then a card for each queue, and privacy.
import type { IdleAccount, ShownQueue } from '../overview';
import { nameOf, QueueCard } from './card/queue-card';
import { named } from './canvas';
import type { Update } from './connection';
import { linkButton, Listed, make, setShown, showText } from './dom';
import { OrphanedPart } from './parts/orphaned';
import { PrivacyPart } from './parts/privacy';
import { stateText, word } from './words';

/** With more queues than this all begin closed, and a list above them names those with a problem. */
const mostOpen = 2;

export class TabView {
  readonly root = make('div', {
    class: 'instant-audience-tab',
    role: 'region',
    'aria-label': word('tab.name'),
  });
  private readonly problems = new Listed(word('part.problems'));
  private readonly queues = make('div');
  private readonly nothing = make('p', {}, word('queue.none'));
  private readonly unused = make('p');
  private readonly cards = new Map<string, QueueCard>();
  private readonly orphaned = new OrphanedPart();
  private isFirst = true;

  constructor() {
    this.problems.list.classList.add('instant-audience-problems');
    this.root.append(
      this.problems.root,
      this.orphaned.root,
      this.nothing,
      this.queues,
      this.unused,
      new PrivacyPart().root,
    );
    this.problems.root.hidden = this.orphaned.root.hidden = true;
  }

  show(update: Update): void {
    const { orphaned, sandbox, histories, atMs } = update;
    const queues = update.queues.map((queue) => ({ ...queue, accounts: queue.accounts.map(named) }));
    const idle = update.idle.map(named);
    this.showProblems(queues, idle);
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
      card.show(queue, sandbox, atMs);
    });
    if (queues.length > 0) this.isFirst = false;
    const unused = idle.filter(({ problem }) => problem === null).map(({ name }) => name);
    showText(this.unused, unused.length > 0 ? word('queue.unused', { names: unused.join(', ') }) : null);
    const atWork = queues.filter(
      ({ origin, shared, durable }) => origin !== 'sandbox' && shared === null && durable,
    );
    const used = queues.flatMap(({ accounts }) => accounts);
    this.orphaned.show(
      orphaned,
      atWork.flatMap(({ accounts }) => accounts),
      [...used, ...idle],
    );
  }

  /** Accounts that cannot be used; and of many queues, those with a problem. */
  private showProblems(queues: readonly ShownQueue[], idle: readonly IdleAccount[]): void {
    const broken = idle.flatMap(({ name, problem }) => (problem === null ? [] : [brokenText(name, problem)]));
    const isTrouble = ({ state: { look }, late }: ShownQueue): boolean =>
      late || look === 'waiting' || look === 'stopped';
    const troubled = queues.length > mostOpen ? queues.filter(isTrouble) : [];
    this.problems.show(
      [
        ...broken.map((text) => ({ text, look: 'stopped', key: '' })),
        ...troubled.map((queue) => ({
          text: `${nameOf(queue)}: ${stateText({ ...queue.state, secondsLeft: null })}`,
          look: queue.state.look === 'stopped' ? 'stopped' : 'waiting',
          key: queue.key,
        })),
      ],
      ({ text, look, key }) => {
        const content = key === '' ? text : linkButton(text, () => this.reveal(key));
        return make('li', { class: 'instant-audience-problem', 'data-look': look }, content);
      },
    );
  }

  private reveal(key: string): void {
    const fold = this.cards.get(key)?.fold;
    fold?.open(true);
    fold?.root.scrollIntoView();
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
