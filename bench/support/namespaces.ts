// Two network namespaces, joined by a link with a real delay: a user-space packet relay between two TUN devices, since few
// kernels of virtual machines have netem.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { promisify } from 'node:util';
import { root } from './workspace';

const run = promisify(execFile);

export interface Link {
  /** Programs that run another one at an end of the link. */
  readonly client: readonly string[];
  readonly server: readonly string[];
  /** The server end's address. */
  readonly host: string;
  close(): Promise<void>;
}

/** Why this machine cannot have such a link. */
export class NoLink extends Error {}

/** @throws NoLink */
export async function openLink(roundTripMs: number): Promise<Link> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new NoLink('network namespaces need Linux and root');
  const names = [`bench-a-${process.pid}`, `bench-b-${process.pid}`] as const;
  const drop = async (): Promise<void> => {
    for (const name of names) await run('ip', ['netns', 'del', name]).catch(() => undefined);
  };
  try {
    for (const name of names) {
      await run('ip', ['netns', 'add', name]);
      await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    }
    const end = await relay(names, roundTripMs / 2);
    const close = async (): Promise<void> => {
      await end();
      await drop();
    };
    const inside = (name: string): string[] => ['ip', 'netns', 'exec', name];
    return { client: inside(names[0]), server: inside(names[1]), host: '10.77.0.2', close };
  } catch (error) {
    await drop();
    throw new NoLink(error instanceof Error ? error.message.trim() : String(error));
  }
}

async function relay(names: readonly [string, string], eachWayMs: number): Promise<() => Promise<void>> {
  const script = path.join(root, 'bench', 'support', 'delay-link.py');
  const child = spawn('python3', [script, ...names, String(eachWayMs)], { stdio: ['pipe', 'pipe', 'pipe'] });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const ready = once(child.stdout, 'data').then(() => true);
  const ended = once(child, 'exit').then(() => false);
  const failed = once(child, 'error').then(() => false);
  if (!(await Promise.race([ready, ended, failed]))) throw new NoLink(`the relay failed: ${printed}`);
  return async () => {
    child.stdin.end();
    await ended;
  };
}
