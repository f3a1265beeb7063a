// Queues on disk that no account uses any more: what waits in them can be saved, or given up.
import type { SidebarRed } from '../../types/red-sidebar';
import type { ShownLeftQueue } from '../left-queues';
import { call, saveAs, text } from './api';
import { ask, tell } from './ask';
import { button, Foldable, make, setShown } from './dom';
import { number, time, troubleWords, word } from './words';

declare const RED: SidebarRed;

export class LeftPart {
  private readonly fold = new Foldable([
    make('span', { class: 'instant-audience-name' }, word('part.left')),
    make('span'),
  ]);
  private readonly list = make('ul');
  private told = '';

  constructor() {
    this.fold.body.append(make('p', {}, word('left.about')), this.list);
  }

  get root(): HTMLElement {
    return this.fold.root;
  }

  show(left: readonly ShownLeftQueue[]): void {
    setShown(this.root, left.length > 0);
    const told = JSON.stringify(left);
    if (told === this.told) return;
    this.told = told;
    this.list.replaceChildren(...left.map((one) => this.row(one)));
  }

  private row(left: ShownLeftQueue): HTMLElement {
    const { file, origin, member, waiting, oldestTakenWallMs, problem } = left;
    const name = word('left.name', { origin, member });
    if (problem !== null) {
      const words = troubleWords(problem.trouble, problem.reason);
      return make('li', {}, make('p', {}, name), make('p', { title: problem.reason }, words));
    }
    const figures = word('left.waiting', {
      many: number(waiting),
      time: oldestTakenWallMs === null ? '–' : time(oldestTakenWallMs),
    });
    const row = make('li', {}, make('p', {}, name), make('p', {}, figures));
    const save = button(word('button.exportLeft'), () => void exportLeft(file));
    const purge = button(word('button.purge'), () => void purgeLeft(left), 'instant-audience-button-danger');
    for (const each of [save, purge]) {
      each.setAttribute('aria-label', `${each.textContent} ${name}`);
      each.disabled = !RED.user.hasPermission('instant-audience.write');
      if (each.disabled) each.title = word('tip.notPermitted');
    }
    row.append(make('div', { class: 'instant-audience-buttons' }, save, purge));
    return row;
  }
}

async function exportLeft(file: string): Promise<void> {
  const found = await text(`tab/left?file=${encodeURIComponent(file)}`);
  if (found === null) tell({ status: 500, body: { code: 'exportFailed' } });
  else saveAs(file.replace(/\.sqlite$/, '.ndjson'), found, 'application/x-ndjson');
}

async function purgeLeft({ file, origin, member }: ShownLeftQueue): Promise<void> {
  const reply = await call('POST', 'tab/purgeLeft', { file });
  const { confirm, waiting } = reply.body;
  if (reply.status !== 409 || typeof confirm !== 'string') {
    tell(reply);
    return;
  }
  const name = word('left.name', { origin, member });
  ask(word('ask.purge', { name, many: number(Number(waiting)) }), word('button.purgeNow'), () => {
    void call('POST', 'tab/purgeLeft', { file, confirm }).then(tell);
  });
}
