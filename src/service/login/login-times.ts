// Stores the times of logins in a queue's metadata: times only, never tokens.
import type { LoginAges, LoginStore } from './login-count';

/** The part of a queue that stores small values by key. */
export interface LoginMeta {
  getMeta(key: string): Promise<string | null>;
  setMeta(key: string, value: string): Promise<void>;
  /** Only in a shared queue: sets the value if it still is `before`; false if another process changed it. */
  replaceMeta?(key: string, before: string | null, value: string): Promise<boolean>;
}

export class LoginTimes implements LoginStore {
  /** @param nowMs epoch ms; for a shared queue, of a clock that all its processes use */
  constructor(
    private readonly meta: LoginMeta,
    private readonly nowMs: () => number,
  ) {}

  get shared(): boolean {
    return this.meta.replaceMeta !== undefined;
  }

  async update(user: string, change: (stored: LoginAges) => LoginAges | null): Promise<void> {
    // Saved in queues: never change this key.
    const key = `logins of ${user}`;
    for (let isDone = false; !isDone;) {
      const before = await this.meta.getMeta(key);
      const [ages, hasFutureTimes] = this.agesIn(before);
      // Future times are saved again as now, so that they expire in five minutes even if every process ends sooner.
      const changed = change(ages) ?? (hasFutureTimes ? ages : null);
      isDone = changed === null || (await this.write(key, before, this.textOf(changed)));
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

  /** The stored ages; values that are not numbers are ignored. */
  private agesIn(text: string | null): [ages: LoginAges, hasFutureTimes: boolean] {
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
