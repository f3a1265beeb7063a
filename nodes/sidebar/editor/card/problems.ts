// The problems of a queue: what is wrong, and what to do. Above everything else, also on a closed card.
import type { Look } from '../../../shared/calm-status';
import type { ShownQueue } from '../../overview';
import { docsLink, make, rebuild, setShown, wrapped } from '../dom';
import { duration, outWord, troubleWords, word, wordOr } from '../words';

interface Problem {
  readonly look: Extract<Look, 'waiting' | 'stopped'>;
  readonly text: string;
  /** Of the service or the system, in English. */
  readonly detail: string | null;
}

export class Problems {
  private readonly list = make('ul');
  readonly root = make('div', { role: 'status' }, this.list);

  show(problems: readonly Problem[]): void {
    setShown(this.root, problems.length > 0);
    rebuild(this.list, problems, () => problems.map(itemOf));
  }
}

function itemOf({ look, text, detail }: Problem): HTMLElement {
  const item = make('li', { class: 'instant-audience-problem', 'data-look': look }, ...wrapped(text));
  if (detail !== null) item.append(make('p', {}, ...wrapped(detail)));
  item.append(make('p', {}, docsLink('status')));
  return item;
}

export function problemsOf(queue: ShownQueue): Problem[] {
  const sentences = queue.segments.map(({ key, params }) => outWord(`segment.${key}`, params));
  const warnings = [...lateOf(queue), ...sentences].map((text): Problem => ({
    look: 'waiting',
    text,
    detail: null,
  }));
  return [...stateProblem(queue), ...warnings];
}

/** A queue file's in the editor's words; of the service and the network also what they say. */
function stateProblem({ state: { look, kind, key, code, message } }: ShownQueue): Problem[] {
  if (look !== 'waiting' && look !== 'stopped') return [];
  if (kind === 'outbox' && code !== null)
    return [{ look, text: troubleWords(code, message ?? ''), detail: null }];
  const text = wordOr(`problem.${kind === 'databaseAway' ? kind : key}`, '');
  if (text === '') return [];
  return [{ look, text, detail: message === '' ? null : message }];
}

function lateOf({ late, oldestMs, warnAfterMs }: ShownQueue): string[] {
  // A figure that changed every second would be read out every second.
  const oldest = duration(Math.floor(oldestMs / 60_000) * 60_000);
  return late ? [word('late', { oldest, limit: duration(warnAfterMs) })] : [];
}
