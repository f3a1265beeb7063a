// A queue that several processes share: appends to its log, users a second at the documented quota, and what it costs
// while nothing happens.
import { openDatabase, type BenchDatabase } from '../support/database';
import { steadyRate } from '../support/figures';
import { perSecond, type PartResult, type Row } from '../support/report';
import { sleep } from '../support/process';
import { documented, startService, throughEngine, withinLimits } from '../support/setting';
import type { Bench, Part } from '../support/setting';
import { startWorker, type Worker } from '../support/worker';
import type { operations } from '../workers/shared';

export type SharingProcess = Worker<typeof operations>;

const batches = 120;
const warmUp = 20;
const rowsPerBatch = 1000;
const appenders = 3;
const roundTripsMs = [5, 60, 200];
const users = 7000;
const idleMs = 20_000;

export function startSharing({ workspace }: Bench): SharingProcess {
  return startWorker<typeof operations>(workspace, 'shared');
}

/** Runs what needs a database, or says that there is none. */
export async function withDatabase(
  title: string,
  measure: (database: BenchDatabase) => Promise<PartResult>,
): Promise<PartResult> {
  const database = await openDatabase();
  if (database === null) return { title, rows: [], more: 'Not measured: there is no PostgreSQL here.' };
  try {
    return await measure(database);
  } finally {
    await database.drop();
  }
}

export const shared: Part = (bench) =>
  withDatabase('A queue in a shared database (PostgreSQL)', async (database) => ({
    title: 'A queue in a shared database (PostgreSQL)',
    rows: [
      ...(await appendRows(bench, database)),
      ...(await quotaRows(bench, database)),
      ...(await idleRows(bench, database)),
    ],
    more: `The database is on this machine and syncs to its disk. Appends: ${rowsPerBatch} entries a batch, one after the other in each process. A plain insert of the same rows, into a table with only a primary key, takes turns with those of the one process. At quota every message goes to the instance that does not send, which is told of each end.`,
  }));

async function appendRows(bench: Bench, database: BenchDatabase): Promise<Row[]> {
  const append = async (name: string, member: string, plain: boolean) => {
    const worker = startSharing(bench);
    const sharing = { databaseUrl: database.url, member, name };
    const startedMs = performance.now();
    const took = await worker.call('append', sharing, batches, rowsPerBatch, plain);
    await worker.stop();
    return { ...took, startedMs };
  };
  const rate = (times: readonly number[]): number => {
    const counted = times.slice(warmUp);
    return (counted.length * rowsPerBatch * 1000) / counted.reduce((sum, each) => sum + each, 0);
  };
  const { appendMs, plainMs } = await append('one', 'appends of one', true);
  const alone = rate(appendMs);
  const names = Array.from({ length: appenders }, (_, at) => `one of ${appenders}: ${at}`);
  const several = await Promise.all(names.map((name) => append(name, 'appends of several', false)));
  const together = several.reduce((sum, { appendMs: its }) => sum + rate(its), 0);
  return [
    {
      what: `entries/s appended by one instance`,
      figure: perSecond(alone),
      against: `plain insert ${perSecond(rate(plainMs))}`,
      ratio: alone / rate(plainMs),
    },
    {
      what: `entries/s appended by ${appenders} instances at the same time`,
      figure: perSecond(together),
      against: `by one ${perSecond(alone)}`,
      ratio: together / alone,
    },
  ];
}

async function quotaRows(bench: Bench, database: BenchDatabase): Promise<Row[]> {
  const started = await startService(bench);
  const { service, url } = started;
  const two = await startTwo(bench, database, url, 'quota');
  const [, standby] = two;
  const rows: Row[] = [];
  for (const roundTripMs of roundTripsMs) {
    const alone = await throughEngine(bench, started, users, roundTripMs);
    const single = steadyRate(alone.arrivals, 1000, 'users');
    await sleep(1_500);
    await service.call('set', { roundTripMs, distinct: true });
    await standby.call('feed', 1, users);
    const report = await service.call('report');
    const rate = steadyRate(report.arrivals, 1000, 'users');
    rows.push(
      {
        what: `users/s at a round trip of ${roundTripMs} ms`,
        figure: perSecond(rate),
        against: `queue on disk ${perSecond(single)}`,
        ratio: rate / single,
        goal: '≥ 0.97 ×',
        reached: rate / single >= 0.97,
      },
      {
        what: `worst second at the service: posts, users; calls in flight; users lost`,
        figure: `${report.worstPosts}, ${report.worstUsers}; ${report.mostInFlight}; ${users - report.distinctUsers}`,
        against: 'limit 100, 1000; 15; 0',
        goal: '≤ limit',
        reached: withinLimits(report) && report.distinctUsers === users,
      },
    );
    await sleep(1_500);
  }
  for (const process of two) await process.call('close');
  return rows;
}

/** The first one sends. */
async function startTwo(
  bench: Bench,
  database: BenchDatabase,
  serviceUrl: string,
  member: string,
): Promise<[SharingProcess, SharingProcess]> {
  const start = async (name: string): Promise<SharingProcess> => {
    const worker = startSharing(bench);
    await worker.call('open', { databaseUrl: database.url, member, serviceUrl, name, limits: documented });
    return worker;
  };
  return [await start('node-1'), await start('node-2')];
}

async function idleRows(bench: Bench, database: BenchDatabase): Promise<Row[]> {
  const { url } = await startService(bench);
  const two = await startTwo(bench, database, url, 'idle');
  // What a start does is over, and counted.
  await sleep(5_000);
  const read = async () => ({
    transactions: await database.transactions(),
    databaseMs: await database.cpuMs(),
    nodeMs: await Promise.all(two.map((process) => process.call('cpuMs'))),
    atMs: performance.now(),
  });
  const before = await read();
  await sleep(idleMs);
  const after = await read();
  const seconds = (after.atMs - before.atMs) / 1000;
  const share = (fromMs: number, toMs: number): string => `${((toMs - fromMs) / seconds / 10).toFixed(2)} %`;
  const nodes = after.nodeMs.map((ms, at) => share(before.nodeMs[at]!, ms));
  for (const process of two) await process.call('close');
  return [
    {
      what: 'idle, two instances: statements a second at the database',
      figure: ((after.transactions - before.transactions) / seconds).toFixed(1),
      against: 'ours are 3.3: the lease renewed every 0.75 s and looked at every 0.5 s',
    },
    {
      what: 'idle: CPU of a core, of the database for both; of the one that sends, of the other',
      figure: `${share(before.databaseMs, after.databaseMs)}; ${nodes.join(', ')}`,
      against: '',
    },
  ];
}
