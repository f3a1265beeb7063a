// Promise 3, last part: at most ten logins of a name in five minutes, whichever client makes them.
import type { LoginRecord } from '../world/history';
import type { Played } from '../world/world';

const windowMs = 5 * 60_000;

export function logins({ history, plan }: Played): string[] {
  const moves = plan.actions.some(
    (action) => action.kind === 'accounts' && ('queue' in action.change || 'database' in action.change),
  );
  const byName = new Map<string, LoginRecord[]>();
  for (const login of history.logins)
    byName.set(login.username, [...(byName.get(login.username) ?? []), login]);
  const found: string[] = [];
  for (const [name, all] of byName) {
    const worst = Math.max(...all.map((login) => inWindowBefore(login, all, moves)));
    history.reached('logins of a name in five minutes', worst);
    if (worst > 10) found.push(`${worst} logins as ${name} in five minutes`);
  }
  return found;
}

/**
 * Logins in the window before `last`, including it. The next process cannot know times that were recorded only
 * in memory, or beside a queue that has moved away since.
 */
function inWindowBefore(last: LoginRecord, all: readonly LoginRecord[], moves: boolean): number {
  const isKnown = ({ instance, life, durable, queue }: LoginRecord): boolean =>
    (instance === last.instance && life === last.life) || (durable && (!moves || queue === last.queue));
  return all.filter((one) => one.atMs <= last.atMs && one.atMs > last.atMs - windowMs && isKnown(one)).length;
}
