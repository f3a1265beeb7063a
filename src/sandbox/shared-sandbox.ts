// The one sandbox of a process: started for its first user, kept across deploys, stopped after its last.

import {
  documentedLimits,
  startSandbox,
  type Limits,
  type Membership,
  type Sandbox,
  type SandboxOptions,
} from './sandbox';

/** A deploy stops every user and starts new ones; the sandbox keeps its port and its tokens that long. */
const keepUnusedMs = 5_000;

export class SharedSandbox {
  private running: Promise<Sandbox> | null = null;
  /** Of the sandbox before; settled before the next one starts. */
  private memberships: Promise<readonly Membership[]> = Promise.resolve([]);
  private users = 0;
  /** Of the users that have any. */
  private readonly limits = new Set<Limits>();
  private stopTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly options: SandboxOptions = {},
    private readonly keepMs = keepUnusedMs,
  ) {}

  /**
   * Joins; the first user starts it. Rejects with a sentence when no port can be had: then nobody has joined.
   *
   * @param limits of this user. The largest of all users hold: each keeps to its own.
   */
  async join(limits?: Limits): Promise<Sandbox> {
    this.users += 1;
    this.cancelStop();
    if (limits !== undefined) this.limits.add(limits);
    const running = (this.running ??= this.start());
    try {
      const sandbox = await running;
      sandbox.setLimits(this.largest());
      return sandbox;
    } catch (error) {
      this.users -= 1;
      if (limits !== undefined) this.limits.delete(limits);
      if (this.running === running) this.running = null;
      throw error;
    }
  }

  /** Once for each successful join, with the same limits. */
  leave(limits?: Limits): void {
    this.users -= 1;
    if (limits !== undefined) this.limits.delete(limits);
    if (this.users > 0) return;
    this.stopTimer = setTimeout(() => void this.stopUnused(), this.keepMs).unref();
  }

  /** The sandbox that runs, or null. */
  current(): Promise<Sandbox> | null {
    return this.running;
  }

  /** Stops it now if nobody uses it: for a process that ends or a test. Its memberships are kept for the next. */
  async stopUnused(): Promise<void> {
    const { running } = this;
    if (this.users > 0 || running === null) return;
    this.cancelStop();
    this.running = null;
    this.memberships = running.then(async (sandbox) => {
      await sandbox.close();
      return sandbox.state();
    });
    await this.memberships;
  }

  private largest(): Limits {
    const own = { ...documentedLimits, ...this.options.limits };
    const all = this.limits.size === 0 ? [own] : [...this.limits];
    const largest: { -readonly [Name in keyof Limits]: number } = { ...own };
    for (const name of Object.keys(own) as (keyof Limits)[])
      largest[name] = Math.max(...all.map((limits) => limits[name]));
    return largest;
  }

  private async start(): Promise<Sandbox> {
    return startSandbox({ ...this.options, memberships: await this.memberships });
  }

  private cancelStop(): void {
    if (this.stopTimer !== null) clearTimeout(this.stopTimer);
    this.stopTimer = null;
  }
}
