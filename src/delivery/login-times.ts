// When a user name logged in: kept beside its member's queue while that is open, else in memory until it is.
//
// The service counts every login of a user name, also those that forms make before anything is deployed.
import type { Outbox } from '../outbox/outbox';
import type { Login } from '../service/login';
import type { TokenKeeperOptions } from '../service/tokens';

export type TimesStore = Pick<TokenKeeperOptions, 'loadTimes' | 'saveTimes'>;

/** Of names that no queue is open for; nobody types more into forms in five minutes. */
const mostNames = 100;

export class LoginTimes {
  private readonly inMemory = new Map<string, readonly number[]>();

  /** @param member names origin and member; `outbox` gives its open queue, or null */
  store(member: string, login: Login, outbox: () => Pick<Outbox, 'getMeta' | 'setMeta'> | null): TimesStore {
    const times = `authentications of ${login.method} ${login.username}`;
    const key = `${member} ${times}`;
    return {
      loadTimes: async () => {
        const saved = readTimes((await outbox()?.getMeta(times)) ?? null);
        return [...saved, ...(this.inMemory.get(key) ?? [])];
      },
      saveTimes: async (now) => {
        const open = outbox();
        if (open === null) {
          this.remember(key, now);
          return;
        }
        await open.setMeta(times, JSON.stringify(now));
        this.inMemory.delete(key);
      },
    };
  }

  private remember(key: string, times: readonly number[]): void {
    this.inMemory.delete(key);
    if (this.inMemory.size >= mostNames) this.inMemory.delete(this.inMemory.keys().next().value!);
    this.inMemory.set(key, times);
  }
}

function readTimes(text: string | null): number[] {
  if (text === null) return [];
  try {
    const times: unknown = JSON.parse(text);
    return Array.isArray(times) ? times.filter((time) => typeof time === 'number') : [];
  } catch {
    return [];
  }
}
