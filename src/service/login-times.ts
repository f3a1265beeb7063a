// When user names logged in, as it is kept beside a queue: times only, never tokens.
import type { LoginAges, LoginStore } from './login-count';

/** Small values beside a queue. */
export interface LoginMeta {
  getMeta(key: string): Promise<string | null>;
  setMeta(key: string, value: string): Promise<void>;
  /** Of a queue that several processes share: sets it only if it is `before` still, and says whether it did. */
  replaceMeta?(key: string, before: string | null, value: string): Promise<boolean>;
}

export class LoginTimes implements LoginStore {
  /** @param nowMs epoch ms; of a queue that several processes share by a clock on which they agree */
  constructor(
    private readonly meta: LoginMeta,
    private readonly nowMs: () => number,
  ) {}

  get shared(): boolean {
    return this.meta.replaceMeta !== undefined;
  }

  async update(user: string, change: (kept: LoginAges) => LoginAges | null): Promise<void> {
    // Part of the stores: never change it.
    const key = `logins of ${user}`;
    for (let isDone = false; !isDone;) {
      const before = await this.meta.getMeta(key);
      const [ages, someWereAhead] = this.agesIn(before);
      // Written down as "just now" they run out in five minutes, even if no process lives that long.
      const kept = change(ages) ?? (someWereAhead ? ages : null);
      isDone = kept === null || (await this.write(key, before, this.textOf(kept)));
    }
  }

  private async write(key: string, before: string | null, text: string): Promise<boolean> {
    if (this.meta.replaceMeta !== undefined) return this.meta.replaceMeta(key, before, text);
    await this.meta.setMeta(key, text);
    return true;
  }

  private textOf(ages: LoginAges): string {
    const nowMs = this.nowMs();
    return JSON.stringify(
      Object.fromEntries([...ages].map(([id, ageMs]) => [id, Math.round(nowMs - ageMs)])),
    );
  }

  /** What makes no sense was written by nobody we know. */
  private agesIn(text: string | null): [ages: LoginAges, someWereAhead: boolean] {
    const nowMs = this.nowMs();
    const times = Object.entries(text === null ? {} : parsed(text)).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    );
    const ages = new Map(times.map(([id, atMs]) => [id, Math.max(0, nowMs - atMs)]));
    return [ages, times.some(([, atMs]) => atMs > nowMs)];
  }
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
