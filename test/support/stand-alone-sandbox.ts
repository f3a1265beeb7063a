// The sandbox as a process of its own, as the package's program starts it: it outlives Node-RED and can be made to hang.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Fault, Limits, Membership, Peaks, SegmentMembers } from '../../src/sandbox/sandbox';
import { packedPackage, until } from './node-red';

export interface SandboxStart {
  /** Those not named stay as documented; 'none' lifts them all. */
  readonly limits?: Partial<Limits> | 'none';
  readonly faults?: readonly Fault[];
}

const packageName = '@instant-audience/node-red-xandr';
const startMs = 20_000;

/** What a test left running, should it end without its hooks. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A running sandbox that lets any login in, as often as it likes. `kill()` it in the end, whatever happened. */
export class StandAloneSandbox {
  private constructor(
    private readonly child: ChildProcess,
    /** Such as `http://127.0.0.1:8080`. */
    readonly url: string,
  ) {}

  /** Resolves when it listens, on a free port. It is the packed package's program. */
  static async start({ limits = {}, faults = [] }: SandboxStart = {}): Promise<StandAloneSandbox> {
    const { template } = await packedPackage();
    const cli = path.join(template, 'node_modules', packageName, 'dist', 'src', 'sandbox', 'cli.js');
    const options = ['--port', '0', '--auth-limit', 'none', '--faults', JSON.stringify(faults)];
    options.push('--limits', limits === 'none' ? limits : JSON.stringify(limits));
    const child = spawn(process.execPath, [cli, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let printed = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk));
    const address = (): string | undefined => /listens at (http:\S+)/.exec(printed)?.[1];
    try {
      await until(
        () => address() !== undefined || child.exitCode !== null,
        startMs,
        () => `the sandbox's address in: ${printed}`,
      );
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    const url = address();
    if (url === undefined) throw new Error(`The sandbox ended before it listened: ${printed}`);
    return new StandAloneSandbox(child, url);
  }

  /** All memberships. */
  state(): Promise<Membership[]> {
    return this.ask('sandbox/state');
  }

  peaks(): Promise<Peaks> {
    return this.ask('sandbox/peaks');
  }

  /** The segments that a user is in. */
  async segmentsOf(user: string): Promise<string[]> {
    const query = new URLSearchParams({ user });
    const found = await this.ask<{ segments: SegmentMembers[] }>(`sandbox/members?${query}`);
    return found.segments.map(({ segment }) => segment);
  }

  /** Replaces all faults. */
  async setFaults(faults: readonly Fault[]): Promise<void> {
    await this.ask('sandbox/faults', { method: 'PUT', body: JSON.stringify(faults) });
  }

  /** Stops answering: connections are still accepted by the system, nothing comes back until `goOn`. */
  hang(): void {
    this.child.kill('SIGSTOP');
  }

  goOn(): void {
    this.child.kill('SIGCONT');
  }

  /** Ends it at once, also when it hangs. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }

  private async ask<T>(where: string, init?: RequestInit): Promise<T> {
    const response = await fetch(`${this.url}/${where}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`The sandbox answered ${response.status} to ${where}: ${text}`);
    return JSON.parse(text) as T;
  }
}
