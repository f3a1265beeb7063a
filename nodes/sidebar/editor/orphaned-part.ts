// Orphaned queues, on disk or in a shared database: their entries can be moved or discarded.
import type { SidebarRed } from '../../types/red-sidebar';
import type { ShownOrphanedQueue } from '../../account/orphaned-queues';
import type { ShownOrphanedShared } from '../orphaned-shared';
import type { NamedAccount } from '../../shared/account-names';
import { call } from './api';
import { ask, tell } from './ask';
import { button, Foldable, make, setShown, setText, wrapped } from './dom';
import { number, shortNumber, time, troubleWords, word } from './words';

declare const RED: SidebarRed;

/** A queue of either kind, by what the runtime calls it. */
interface Named {
  readonly name: string;
  /** Null for one in a database. */
  readonly file: string | null;
  readonly query: { readonly file: string } | { readonly queue: string };
  /** Accounts whose entries it holds, and which have another queue now. */
  readonly targets: readonly NamedAccount[];
  readonly waiting: number;
  readonly oldestTakenWallMs: number | null;
}

export class LeftPart {
  private readonly sum = make('span', { class: 'instant-audience-sum' });
  private readonly fold = new Foldable([
    make('span', { class: 'instant-audience-name' }, word('part.left')),
    this.sum,
  ]);
  private readonly list = make('ul');
  private told = '';

  constructor() {
    this.fold.body.append(make('p', {}, word('left.about')), this.list);
  }

  get root(): HTMLElement {
    return this.fold.root;
  }

  show(
    left: readonly ShownOrphanedQueue[],
    shared: readonly ShownOrphanedShared[],
    atWork: readonly NamedAccount[],
    named: readonly NamedAccount[],
  ): void {
    setShown(this.root, left.length + shared.length > 0);
    const names = new Map(named.map(({ id, name }) => [id, name]));
    const told = JSON.stringify([left, shared, atWork, ...names]);
    if (told === this.told) return;
    this.told = told;
    const waiting = [...left, ...shared].reduce((sum, one) => sum + ('waiting' in one ? one.waiting : 0), 0);
    setText(this.sum, waiting === 0 ? '' : word('left.sum', { waiting: shortNumber(waiting) }));
    this.list.replaceChildren(
      ...left.map((one) => this.fileRow(one, atWork, names)),
      ...shared.map((one) => this.sharedRow(one, atWork)),
    );
  }

  private fileRow(
    left: ShownOrphanedQueue,
    atWork: readonly NamedAccount[],
    names: ReadonlyMap<string, string>,
  ): HTMLElement {
    const { file, kept, waiting, oldestTakenWallMs, problem } = left;
    const name = nameOf(left, names);
    if (problem !== null) return problemRow(name, problem, file);
    const targets = kept ? [] : targetsOf(left, atWork);
    return row({ name, file, query: { file }, targets, waiting, oldestTakenWallMs });
  }

  private sharedRow(left: ShownOrphanedShared, atWork: readonly NamedAccount[]): HTMLElement {
    const { host, database } = left;
    if (left.kind === 'database')
      return problemRow(word('left.notLooked', { host, database }), left.problem, null);
    const { key, origin, member, waiting, oldestTakenWallMs } = left;
    const name = word('left.nameShared', { origin, member, host, database });
    const targets = targetsOf(left, atWork);
    return row({
      name,
      file: null,
      query: { queue: key },
      targets,
      waiting,
      oldestTakenWallMs,
    });
  }
}

/** Entries of the sandbox are never moved. */
function targetsOf(
  { origin, accounts }: { readonly origin: string; readonly accounts: readonly string[] },
  atWork: readonly NamedAccount[],
): readonly NamedAccount[] {
  return origin === 'sandbox' ? [] : atWork.filter(({ id }) => accounts.includes(id));
}

/** By the accounts whose entries it holds, as far as they are still there, by member and address. */
function nameOf(
  { accounts, origin, member, kept }: ShownOrphanedQueue,
  names: ReadonlyMap<string, string>,
): string {
  const where = origin === 'sandbox' ? word('queue.sandbox') : origin;
  const queue = word(kept ? 'left.nameKept' : 'left.name', { origin: where, member });
  const known = accounts.flatMap((id) => names.get(id) ?? []);
  return known.length === 0 ? queue : word('left.of', { names: known.join(', '), queue });
}

function problemRow(
  name: string,
  { trouble, reason }: NonNullable<ShownOrphanedQueue['problem']>,
  file: string | null,
): HTMLElement {
  const words = troubleWords(trouble, reason);
  return make('li', {}, title(name), make('p', { title: reason }, words), ...fileLine(file));
}

function title(name: string): HTMLElement {
  return make('p', {}, ...wrapped(name));
}

function fileLine(file: string | null): HTMLElement[] {
  return file === null ? [] : [make('p', { class: 'instant-audience-file' }, word('left.file', { file }))];
}

function row(left: Named): HTMLElement {
  const { name, file, waiting, oldestTakenWallMs } = left;
  const figures = word('left.waiting', {
    many: number(waiting),
    time: oldestTakenWallMs === null ? '–' : time(oldestTakenWallMs),
  });
  const purge = button(
    word('button.purge'),
    () => void purgeOrphaned(left),
    'instant-audience-button-danger',
  );
  const moves = left.targets.map((target) =>
    button(word('button.moveOrphaned', { name: target.name }), () => void moveOrphaned(left, target)),
  );
  for (const each of [...moves, purge]) {
    each.setAttribute('aria-label', `${each.textContent} ${name}`);
    each.disabled = !RED.user.hasPermission('instant-audience.write');
    if (each.disabled) each.title = word('tip.notPermitted');
  }
  const buttons = make('div', { class: 'instant-audience-buttons' }, ...moves, purge);
  return make('li', {}, title(name), make('p', {}, figures), ...fileLine(file), buttons);
}

async function moveOrphaned({ query }: Named, { id }: NamedAccount): Promise<void> {
  tell(await call('POST', 'tab/moveOrphaned', { ...query, account: id }));
}

async function purgeOrphaned({ name, query }: Named): Promise<void> {
  const reply = await call('POST', 'tab/purgeOrphaned', query);
  const { confirm, waiting } = reply.body;
  if (reply.status !== 409 || typeof confirm !== 'string') {
    tell(reply);
    return;
  }
  ask(word('ask.purge', { name, many: number(Number(waiting)) }), word('button.purgeNow'), () => {
    void call('POST', 'tab/purgeOrphaned', { ...query, confirm }).then(tell);
  });
}
