// The one sandbox of a process: started for its first user, kept across deploys, stopped after its last.

import {
  defaultSettings,
  startSandbox,
  type Limits,
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
} from './sandbox';

/** A deploy stops every user and starts new ones; the sandbox keeps its port and its tokens that long. */
const keepUnusedMs = 5_000;

export class SharedSandbox {
  private running: Promise<Sandbox> | null = null;
  /** What was left of the sandbox before; settled before the next one starts. */
  private left: Promise<Pick<SandboxOptions, 'memberships' | 'made'>> = Promise.resolve({});
  private users = 0;
  /** Of the users that have any. */
  private readonly settings = new Set<SandboxSettings>();
  private stopTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly options: SandboxOptions = {},
    private readonly keepMs = keepUnusedMs,
  ) {}

  /**
   * Joins; the first user starts it. Rejects with a sentence when no port can be had: then nobody has joined.
   *
   * @param settings of this user. The largest of all users hold: each keeps to its own limits.
   */
  async join(settings?: SandboxSettings): Promise<Sandbox> {
    this.users += 1;
    this.cancelStop();
    if (settings !== undefined) this.settings.add(settings);
    const running = (this.running ??= this.start());
    try {
      const sandbox = await running;
      sandbox.set(this.largest());
      return sandbox;
    } catch (error) {
      this.users -= 1;
      if (settings !== undefined) this.settings.delete(settings);
      if (this.running === running) this.running = null;
      throw error;
    }
  }

  /** Once for each successful join, with the same settings. */
  leave(settings?: SandboxSettings): void {
    this.users -= 1;
    if (settings !== undefined) this.settings.delete(settings);
    if (this.users > 0) return;
    this.stopTimer = setTimeout(() => void this.stopUnused(), this.keepMs).unref();
  }

  /** The sandbox that runs, or null. */
  current(): Promise<Sandbox> | null {
    return this.running;
  }

  /** Stops it now if nobody uses it: for a process that ends or a test. What it holds is kept for the next. */
  async stopUnused(): Promise<void> {
    const { running } = this;
    if (this.users > 0 || running === null) return;
    this.cancelStop();
    this.running = null;
    this.left = running.then(async (sandbox) => {
      await sandbox.close();
      return { memberships: sandbox.state(), made: sandbox.made() };
    });
    await this.left;
  }

  private largest(): SandboxSettings {
    const { options } = this;
    const own = { ...defaultSettings, ...options, limits: { ...defaultSettings.limits, ...options.limits } };
    const all: readonly SandboxSettings[] = this.settings.size === 0 ? [own] : [...this.settings];
    const names = Object.keys(own.limits) as (keyof Limits)[];
    const limits = names.map((name) => [name, Math.max(...all.map((one) => one.limits[name]))] as const);
    const expirations = all.map((one) => one.defaultExpirationMinutes);
    return {
      limits: Object.fromEntries(limits) as unknown as Limits,
      warmUpMinutes: Math.max(...all.map((one) => one.warmUpMinutes)),
      // 0 never ends.
      defaultExpirationMinutes: expirations.includes(0) ? 0 : Math.max(...expirations),
    };
  }

  private async start(): Promise<Sandbox> {
    return startSandbox({ ...this.options, ...(await this.left) });
  }

  private cancelStop(): void {
    if (this.stopTimer !== null) clearTimeout(this.stopTimer);
    this.stopTimer = null;
  }
}
