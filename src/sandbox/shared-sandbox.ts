// The one sandbox of a process: started for its first user, kept across deploys, stopped after its last.

import { startSandbox, type Membership, type Sandbox, type SandboxOptions } from './sandbox';

/** A deploy stops every user and starts new ones; the sandbox keeps its port and its tokens that long. */
const keepUnusedMs = 5_000;

export class SharedSandbox {
  private running: Promise<Sandbox> | null = null;
  private memberships: readonly Membership[] = [];
  private users = 0;
  private stopTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly options: SandboxOptions = {},
    private readonly keepMs = keepUnusedMs,
  ) {}

  /** Joins; the first user starts it. Rejects with a sentence when no port can be had. */
  async join(): Promise<Sandbox> {
    this.users += 1;
    if (this.stopTimer !== null) clearTimeout(this.stopTimer);
    this.stopTimer = null;
    this.running ??= startSandbox({ ...this.options, memberships: this.memberships });
    try {
      return await this.running;
    } catch (error) {
      this.running = null;
      throw error;
    }
  }

  leave(): void {
    this.users -= 1;
    if (this.users > 0 || this.running === null) return;
    this.stopTimer = setTimeout(() => void this.stop(), this.keepMs).unref();
  }

  /** The sandbox that runs, or null. */
  current(): Promise<Sandbox> | null {
    return this.running;
  }

  private async stop(): Promise<void> {
    this.stopTimer = null;
    const running = this.running;
    this.running = null;
    if (running === null) return;
    const sandbox = await running;
    this.memberships = sandbox.state();
    await sandbox.close();
  }
}
