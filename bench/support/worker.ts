// Worker processes of the bench: each serves a few named operations, which another process calls.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Operations } from '../workers/serve';
import type { Workspace } from './workspace';

const running = new Set<Worker<never>>();

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface WorkerStart {
  /** Options of Node. */
  readonly nodeArgs?: readonly string[];
  /** A program to run it with, such as one that enters a network namespace. */
  readonly through?: readonly string[];
}

export class Worker<Ops extends Operations> {
  private readonly waiting = new Map<number, Waiting>();
  private lastCall = 0;
  private printed = '';

  constructor(
    private readonly child: ChildProcess,
    private readonly name: string,
  ) {
    running.add(this);
    child.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      const call = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) call?.resolve(value);
      else call?.reject(new Error(`${this.name}: ${error}`));
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.printed = (this.printed + text).slice(-20_000);
      });
    }
    child.on('exit', (code, signal) => {
      running.delete(this);
      for (const { reject } of this.waiting.values()) {
        reject(new Error(`${this.name} ended (${code ?? signal ?? ''}):\n${this.printed}`));
      }
      this.waiting.clear();
    });
  }

  /** What it printed lately. */
  get output(): string {
    return this.printed;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  call<K extends keyof Ops & string>(
    operation: K,
    ...args: Parameters<Ops[K]>
  ): Promise<Awaited<ReturnType<Ops[K]>>> {
    return new Promise((resolve, reject) => {
      const id = ++this.lastCall;
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.child.send({ id, operation, args }, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  /** Ends it: asked first, so that a profiler can write its file; killed when it does not listen. */
  async stop(): Promise<void> {
    if (this.ended) return;
    const exited = once(this.child, 'exit');
    if (this.child.connected) this.child.disconnect();
    const kill = setTimeout(() => this.child.kill('SIGKILL'), 3000);
    await exited;
    clearTimeout(kill);
  }

  /** Puts it to sleep, or wakes it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(signal);
  }

  async kill(): Promise<void> {
    if (this.ended) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}

/** Ends whatever a part left behind. */
export async function stopAllWorkers(): Promise<void> {
  await Promise.all([...running].map((worker) => worker.stop()));
}

export function startProcess<Ops extends Operations>(
  name: string,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { nodeArgs = [], through = [] }: WorkerStart = {},
): Worker<Ops> {
  const [command, ...rest] = [...through, process.execPath, ...nodeArgs, file, ...args];
  const child = spawn(command!, rest, {
    cwd: path.dirname(file),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  return new Worker<Ops>(child, name);
}

/** Starts one of bench/workers/. */
export function startWorker<Ops extends Operations>(
  workspace: Workspace,
  name: string,
  start: WorkerStart = {},
): Worker<Ops> {
  const env = { BENCH_PACKAGE: workspace.packageFolder, NODE_NO_WARNINGS: '1' };
  const nodeArgs = [...profiling(name), ...(start.nodeArgs ?? [])];
  const file = path.join(workspace.workers, `${name}.js`);
  return startProcess<Ops>(name, file, [], env, { ...start, nodeArgs });
}

/** Node's options for a process that BENCH_PROFILE names. */
export function profiling(name: string): string[] {
  const profiled = process.env.BENCH_PROFILE?.split(',') ?? [];
  return profiled.includes(name) ? ['--cpu-prof', `--cpu-prof-dir=${tmpdir()}`] : [];
}
