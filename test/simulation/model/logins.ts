// Promise 3, last part: at most ten logins of a name in five minutes, whoever makes them.
import type { LoginRecord } from '../world/history';
import type { Played } from '../world/world';

const windowMs = 5 * 60_000;

export function logins({ history }: Played): string[] {
  const byName = new Map<string, LoginRecord[]>();
  for (const login of history.logins)
    byName.set(login.username, [...(byName.get(login.username) ?? []), login]);
  const found: string[] = [];
  for (const [name, all] of byName) {
    const worst = Math.max(...all.map((login) => inWindowBefore(login, all)));
    history.reached('logins of a name in five minutes', worst);
    if (worst > 10) found.push(`${worst} logins as ${name} in five minutes`);
  }
  return found;
}

/** With it. What a process wrote down in memory only, the next one cannot know. */
function inWindowBefore(last: LoginRecord, all: readonly LoginRecord[]): number {
  return all.filter(
    ({ atMs, durable, instance, life }) =>
      atMs <= last.atMs &&
      atMs > last.atMs - windowMs &&
      (durable || (instance === last.instance && life === last.life)),
  ).length;
}
