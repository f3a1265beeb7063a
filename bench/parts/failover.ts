// How long nothing is sent when the process that sends for a shared queue is killed, or put to sleep.
import type { BenchDatabase } from '../support/database';
import { median } from '../support/figures';
import { nowMs, sleep } from '../support/process';
import { ms, type Row } from '../support/report';
import { documented, startService, type Bench, type Part, type Service } from '../support/setting';
import { startSharing, withDatabase, type SharingProcess } from './shared';

const rounds = 20;
/** Longer than recovered requests count as calls in flight. */
const timeoutMs = 40_000;
/** Work between two failures. */
const betweenMs = 700;

const title = 'Failover of a shared queue at the default lease';

export const failover: Part = (bench) =>
  withDatabase(title, async (database) => {
    // Each has a queue and a service of its own; they mostly wait.
    const [killedMs, stoppedMs] = await Promise.all([
      measure(bench, database, 'killed', async (pair, sender) => {
        await pair.processes[sender]!.kill();
        return () => pair.start(sender);
      }),
      measure(bench, database, 'stopped', (pair, sender) => {
        pair.processes[sender]!.signal('SIGSTOP');
        return Promise.resolve(() => {
          pair.processes[sender]!.signal('SIGCONT');
          return Promise.resolve();
        });
      }),
    ]);
    return {
      title,
      rows: [
        rowOf('kill −9 of the sender', killedMs, 2_500),
        rowOf('SIGSTOP of the sender', stoppedMs, 3_500),
      ],
      more: `Until the service gets the first post of another process, ${rounds} times each; both take ten users every 50 ms all the time. After a kill it includes up to 0.5 s until the other looks. After a freeze it includes up to 2 s until the lease has run out. Both include the second of the quota that counts as used after a take-over.`,
    };
  });

function rowOf(what: string, tookMs: readonly number[], goalMs: number): Row {
  const worst = Math.max(...tookMs);
  return {
    what: `${what} → next post, median and worst of ${tookMs.length}`,
    figure: `${ms(median(tookMs))}, ${ms(worst)}`,
    against: '',
    goal: `≤ ${goalMs / 1000} s`,
    reached: worst <= goalMs,
  };
}

/** Two processes that share a queue and always have something to send. */
interface Pair {
  readonly processes: SharingProcess[];
  /** Each has a name of its own, also the one that comes after another. */
  readonly names: string[];
  start(at: number): Promise<void>;
}

function pairOf(bench: Bench, databaseUrl: string, serviceUrl: string, member: string): Pair {
  let started = 0;
  const [processes, names]: [SharingProcess[], string[]] = [[], []];
  const start = async (at: number): Promise<void> => {
    const process = startSharing(bench);
    started += 1;
    const name = `${member}-${started}`;
    await process.call('open', { databaseUrl, member, serviceUrl, name, limits: documented });
    await process.call('trickle', started * 1_000_000);
    processes[at] = process;
    names[at] = name;
  };
  return { processes, names, start };
}

async function measure(
  bench: Bench,
  database: BenchDatabase,
  member: string,
  fail: (pair: Pair, sender: number) => Promise<() => Promise<void>>,
): Promise<number[]> {
  const { service, url } = await startService(bench);
  const pair = pairOf(bench, database.url, url, member);
  await pair.start(0);
  await pair.start(1);
  const tookMs: number[] = [];
  let sender = await posting(service, pair, null);
  for (let round = 0; round < rounds; round += 1) {
    await sleep(betweenMs);
    await service.call('set', {});
    const failedMs = nowMs();
    const mend = await fail(pair, sender.at);
    const next = await posting(service, pair, pair.names[sender.at]!);
    tookMs.push(next.atMs - failedMs);
    await mend();
    sender = next;
  }
  for (const process of pair.processes) await process.call('close');
  return tookMs;
}

/** The first post of another one than `not`, or of anybody: whose it was, and when. */
async function posting(
  service: Service,
  pair: Pair,
  not: string | null,
): Promise<{ readonly at: number; readonly atMs: number }> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const { arrivals } = await service.call('report');
    const found = arrivals.find(({ token }) => token !== not && pair.names.includes(token));
    if (found !== undefined) return { at: pair.names.indexOf(found.token), atMs: found.atMs };
    if (performance.now() > end) throw new Error(`nobody has sent for ${timeoutMs / 1000} s`);
    await sleep(20);
  }
}
