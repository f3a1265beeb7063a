// Orphaned queues, on disk or in a shared database: their entries can be moved or discarded.
import type { ShownOrphaned } from '../../../account/queue/orphaned-queues';
import type { NamedAccount } from '../../../shared/account-names';
import { call, purge, tell } from '../calls';
import { button, Foldable, make, rebuild, setShown, setText, wrapped } from '../dom';
import { number, shortNumber, time, troubleWords, word } from '../words';

export class OrphanedPart {
  private readonly fold = new Foldable(word('part.left'));
  readonly root = this.fold.root;
  private readonly list = make('ul');

  constructor() {
    this.fold.body.append(make('p', {}, word('left.about')), this.list);
  }

  /** @param atWork accounts to which entries can be moved */
  show(
    orphaned: readonly ShownOrphaned[],
    atWork: readonly NamedAccount[],
    named: readonly NamedAccount[],
  ): void {
    setShown(this.root, orphaned.length > 0);
    const waiting = orphaned.reduce((sum, one) => sum + one.waiting, 0);
    setText(this.fold.note, waiting === 0 ? '' : word('left.sum', { waiting: shortNumber(waiting) }));
    const names = named.map(({ id, name }) => [id, name]);
    rebuild(this.list, [orphaned, atWork, names], () => orphaned.map((one) => rowOf(one, atWork, named)));
  }
}

function rowOf(
  one: ShownOrphaned,
  atWork: readonly NamedAccount[],
  named: readonly NamedAccount[],
): HTMLElement {
  const { key, kind, waiting, oldestAppendedWallMs, problem } = one;
  const name = nameOf(one, named);
  const row = make('li', {}, make('p', {}, ...wrapped(name)));
  if (problem === null) {
    const oldest = oldestAppendedWallMs === null ? '–' : time(oldestAppendedWallMs);
    row.append(make('p', {}, word('left.waiting', { many: number(waiting), time: oldest })));
  } else {
    row.append(make('p', { title: problem.reason }, troubleWords(problem.trouble, problem.reason)));
  }
  if (kind === 'disk' || kind === 'buffer')
    row.append(make('p', { class: 'instant-audience-file' }, word('left.file', { file: key })));
  if (problem === null) row.append(buttonsOf(one, name, atWork));
  return row;
}

/** By the accounts whose entries it holds, as far as they are still there, by member and address. */
function nameOf(one: ShownOrphaned, named: readonly NamedAccount[]): string {
  const { kind, member, accounts, host = '', database = '' } = one;
  const origin = one.origin === 'sandbox' ? word('queue.sandbox') : one.origin;
  const queue = word(`left.name_${kind}`, { origin, member, host, database });
  const known = accounts.flatMap((account) => named.find(({ id }) => id === account)?.name ?? []);
  return known.length === 0 ? queue : word('left.of', { names: known.join(', '), queue });
}

/** A buffer is moved with its shared queue; entries of the sandbox are never moved. */
function buttonsOf(one: ShownOrphaned, name: string, atWork: readonly NamedAccount[]): HTMLElement {
  const { key, kind, origin, accounts } = one;
  const isMoved = kind !== 'buffer' && origin !== 'sandbox';
  const targets = isMoved ? atWork.filter(({ id }) => accounts.includes(id)) : [];
  const moves = targets.map((target) =>
    button(word('button.moveOrphaned', { name: target.name }), () => {
      void call('POST', 'tab/moveOrphaned', { queue: key, account: target.id }).then(tell);
    }),
  );
  const discard = (): void => void purge('purgeOrphaned', key, name);
  const buttons = [...moves, button(word('button.purge'), discard, true)];
  for (const each of buttons) each.setAttribute('aria-label', `${each.textContent} ${name}`);
  return make('div', { class: 'instant-audience-buttons' }, ...buttons);
}
