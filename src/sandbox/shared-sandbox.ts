// Shares one sandbox in a process: starts it for the first user, keeps it across deploys, stops it after the last user.
import {
  defaultSettings,
  startSandbox,
  type Limits,
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
} from './sandbox';

/** A deploy stops all users and starts new ones; for this time the sandbox keeps its port and tokens. */
const keepUnusedMs = 5_000;

export class SharedSandbox {
  /** The running sandbox, once it has started; else null. */
  live: Sandbox | null = null;
  private running: Promise<Sandbox> | null = null;
  /** State of the previous sandbox, once it has closed; the next one starts after that. */
  private previousState: Promise<Pick<SandboxOptions, 'memberships' | 'made'>> = Promise.resolve({});
  private users = 0;
  /** Settings of the users that have any. */
  private readonly settings = new Set<SandboxSettings>();
  private stopTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly options: SandboxOptions = {},
    private readonly keepMs = keepUnusedMs,
  ) {}

  /**
   * Adds a user; the first one starts the sandbox. Rejects with a sentence, without adding the user, if the sandbox
   * cannot start.
   *
   * @param settings of this user. The largest values of all users apply, since each user keeps to its own limits.
   */
  async join(settings?: SandboxSettings): Promise<Sandbox> {
    this.users += 1;
    this.cancelStop();
    if (settings !== undefined) this.settings.add(settings);
    const running = (this.running ??= this.start());
    try {
      const sandbox = await running;
      this.live = sandbox;
      sandbox.set(this.largest());
      return sandbox;
    } catch (error) {
      this.users -= 1;
      if (settings !== undefined) this.settings.delete(settings);
      if (this.running === running) this.running = null;
      throw error;
    }
  }

  /** Removes a user: call once for each successful `join`, with the same settings. */
  leave(settings?: SandboxSettings): void {
    this.users -= 1;
    if (settings !== undefined) this.settings.delete(settings);
    if (this.users > 0) return;
    this.stopTimer = setTimeout(() => void this.stopUnused(), this.keepMs).unref();
  }

  /** The running sandbox, or null. */
  current(): Promise<Sandbox> | null {
    return this.running;
  }

  /**
   * Stops the sandbox now if it has no users, at the end of a process or test. The next one continues with its state.
   */
  async stopUnused(): Promise<void> {
    const { running } = this;
    if (this.users > 0 || running === null) return;
    this.cancelStop();
    this.running = this.live = null;
    this.previousState = running.then(async (sandbox) => {
      await sandbox.close();
      return { memberships: sandbox.state(), made: sandbox.made() };
    });
    await this.previousState;
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
      // 0 never expires.
      defaultExpirationMinutes: expirations.includes(0) ? 0 : Math.max(...expirations),
    };
  }

  private async start(): Promise<Sandbox> {
    return startSandbox({ ...this.options, ...(await this.previousState) });
  }

  private cancelStop(): void {
    if (this.stopTimer !== null) clearTimeout(this.stopTimer);
    this.stopTimer = null;
  }
}
