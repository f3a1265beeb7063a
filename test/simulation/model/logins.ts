// Promise 3, last part: at most ten logins of a name in five minutes, whoever makes them.
import type { Played } from '../world/world';

const windowMs = 5 * 60_000;

export function logins({ history }: Played): string[] {
  const byName = new Map<string, number[]>();
  for (const { username, atMs } of history.logins)
    byName.set(username, [...(byName.get(username) ?? []), atMs]);
  const found: string[] = [];
  for (const [name, times] of byName) {
    times.sort((a, b) => a - b);
    let worst = 0;
    for (let from = 0, to = 0; to < times.length; to += 1) {
      while (times[from]! <= times[to]! - windowMs) from += 1;
      worst = Math.max(worst, to - from + 1);
    }
    history.reached('logins of a name in five minutes', worst);
    if (worst > 10) found.push(`${worst} logins as ${name} in five minutes`);
  }
  return found;
}
