// What the processes of the bench measure and wait with.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds of the machine's monotonic clock; comparable between processes of one machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Takes away the garbage of what was made before a time is taken: its cost is not the contender's. */
export function collect(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
export const sleep = (delayMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, delayMs));

let loop: ReturnType<typeof monitorEventLoopDelay> | null = null;

/** Begins to measure how long the event loop of this process is held at a time. */
export async function watchLoop(): Promise<void> {
  loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  // It measures from its first tick on.
  await sleep(20);
}

/** The longest since then. */
export function longestHoldMs(): number {
  loop!.disable();
  return loop!.max / 1e6;
}

/** Resident memory of this process, now and at its highest. */
export const rssBytes = (): number => process.memoryUsage.rss();
export const peakRssBytes = (): number => process.resourceUsage().maxRSS * 1024;
