// A large backlog on disk: appends, memory, a removal that overtakes it, and a start with the whole backlog.
import { stat } from 'node:fs/promises';
import { growthChart } from '../support/chart';
import { mb, ms, perSecond, type Row } from '../support/report';
import { documented, newFile, startCore, startEngine, startService } from '../support/setting';
import type { Bench, Part, Service } from '../support/setting';
import { nowMs, sleep } from '../support/process';
import { userId } from '../workers/entries';

const sizes = [10_000, 100_000, 1_000_000];
/** After all entries are queued. */
const soonMs = 5_000;
const laterMs = 30_000;
/** Of a straight line, ten times the entries: a quarter more than ten times. */
const straight = 12.5;
const flatBytes = 20e6;

interface Growth {
  readonly entries: number;
  /** Until all of them are queued. */
  readonly intakeMs: number;
  readonly diskBytes: number;
  readonly idleRss: number;
  readonly soonRss: number;
  /** Of the largest backlog only: from the smaller ones, too much is sent until then. */
  readonly laterRss: number | null;
  readonly removalMs: number;
  readonly startMs: number;
  readonly openMs: number;
  /** Of the process that was started again. */
  readonly againRss: number;
}

/** Memory over idle, after the entries came. */
interface Grown {
  readonly soonBytes: number;
  readonly laterBytes: number;
}

export const backlog: Part = async (bench) => {
  const { service, url } = await startService(bench);
  const growths: Growth[] = [];
  for (const entries of sizes) growths.push(await measure(bench, service, url, entries));
  const core = await coreMemory(bench, service, url);
  return {
    title: 'With 1,000,000 entries waiting on disk',
    rows: [...rowsOf(growths.at(-1)!, core, bench.shared.coreUsersPerSecond), ...growthRows(growths)],
    more: growthTable(growths),
    picture: { file: 'growth.svg', svg: chartOf(growths) },
  };
};

/** The same number of users in a flow of core nodes, which keeps them in memory. */
async function coreMemory(bench: Bench, service: Service, url: string): Promise<Grown> {
  await service.call('set', { roundTripMs: 5 });
  const core = await startCore(bench, url);
  await sleep(1500);
  const idleRss = await core.call('rssBytes');
  await core.call('send', 1, sizes.at(-1)!, 500);
  await sleep(soonMs);
  const soonBytes = (await core.call('rssBytes')) - idleRss;
  await sleep(laterMs - soonMs);
  const laterBytes = (await core.call('rssBytes')) - idleRss;
  await core.kill();
  return { soonBytes, laterBytes };
}

async function measure(bench: Bench, service: Service, url: string, entries: number): Promise<Growth> {
  const file = newFile(bench);
  const engine = startEngine(bench);
  await engine.call('open', { url, file, limits: documented });
  await sleep(1500);
  const idleRss = await engine.call('rssBytes');
  // The newest user of the backlog: its add waits behind all others.
  const user = entries;
  await service.call('set', { roundTripMs: 5, watch: `"${userId(user)}"` });
  const feed = {
    first: 1,
    users: entries,
    rounds: 1,
    perMessage: 1000,
    completeOn: 'queued',
    outstanding: 20,
  } as const;
  const { tookMs, failed } = await engine.call('feed', feed);
  if (failed !== null) throw new Error(failed);
  const diskBytes = await bytesOf(file);
  await sleep(soonMs);
  const soonRss = await engine.call('rssBytes');
  const inputMs = await engine.call('remove', user);
  const { watchedAtMs } = await service.call('report');
  let laterRss: number | null = null;
  if (entries === sizes.at(-1)) {
    await sleep(laterMs - soonMs);
    laterRss = await engine.call('rssBytes');
  }
  await engine.kill();
  const again = await startAgain(bench, service, url, file);
  const removalMs = (watchedAtMs ?? Infinity) - inputMs;
  return { entries, intakeMs: tookMs, diskBytes, idleRss, soonRss, laterRss, removalMs, ...again };
}

async function bytesOf(file: string): Promise<number> {
  const sizeOf = async (name: string): Promise<number> => (await stat(name)).size;
  return (await sizeOf(file)) + (await sizeOf(`${file}-wal`));
}

/** From the start of the process, after kill -9, to the first post at the service. */
async function startAgain(
  bench: Bench,
  service: Service,
  url: string,
  file: string,
): Promise<{ startMs: number; openMs: number; againRss: number }> {
  await service.call('set', { roundTripMs: 5 });
  const startedMs = nowMs();
  const engine = startEngine(bench);
  await engine.call('open', { url, file, limits: documented });
  const openMs = nowMs() - startedMs;
  let { headsMs } = await service.call('report');
  const timeoutMs = nowMs() + 30_000;
  while (headsMs.length === 0 && nowMs() < timeoutMs) {
    await sleep(20);
    ({ headsMs } = await service.call('report'));
  }
  await sleep(2000);
  const againRss = await engine.call('rssBytes');
  await engine.kill();
  return { startMs: (headsMs[0] ?? Infinity) - startedMs, openMs, againRss };
}

function rowsOf(last: Growth, core: Grown, coreUsersPerSecond: number | undefined): Row[] {
  const coreMs = (last.entries / (coreUsersPerSecond ?? 1000)) * 1000;
  const { idleRss } = last;
  const againBytes = last.againRss - idleRss;
  const memory = (afterMs: number, bytes: number, coreBytes: number, mostBytes: number): Row => ({
    what: `resident memory over idle, ${afterMs / 1000} s after they came`,
    figure: mb(bytes),
    against: `core nodes ${mb(coreBytes)}`,
    ratio: bytes / coreBytes,
    goal: `≤ ${mb(mostBytes)}`,
    reached: bytes <= mostBytes,
  });
  return [
    {
      what: 'a removal behind them, input → service',
      figure: ms(last.removalMs),
      against: `core nodes ${ms(coreMs)}`,
      ratio: last.removalMs / coreMs,
      goal: '≤ 2 s',
      reached: last.removalMs <= 2000,
      note: `The core nodes' figure is computed: 1,000,000 ÷ ${coreUsersPerSecond === undefined ? 'the documented 1,000' : 'their measured rate of users'} a second.`,
    },
    memory(soonMs, last.soonRss - idleRss, core.soonBytes, 260e6),
    {
      ...memory(laterMs, last.laterRss! - idleRss, core.laterBytes, 50e6),
      note: `Ours came in arrays of 1,000, to a process with an engine and no Node-RED (idle ${mb(idleRss)}). The core nodes got one message each and keep them in memory.`,
    },
    {
      what: 'resident memory over idle, after a start with them',
      figure: mb(againBytes),
      against: '',
      goal: '≤ 150 MB',
      reached: againBytes <= 150e6,
    },
    {
      what: 'process start (after kill −9) → first post',
      figure: ms(last.startMs),
      against: `open after ${ms(last.openMs)}; one second counts as used after every start`,
      goal: '≤ 3 s',
      reached: last.startMs <= 3000,
    },
  ];
}

/** Whether time and disk grow in straight lines and memory stays. */
function growthRows(growths: readonly Growth[]): Row[] {
  const worst = (of: (growth: Growth) => number): number =>
    Math.max(...growths.slice(1).map((growth, at) => of(growth) / of(growths[at]!)));
  const line = (what: string, times: number): Row => ({
    what: `ten times the entries: ${what}, worse of both steps`,
    figure: `${times.toPrecision(3)} ×`,
    against: '10 ×',
    goal: `≤ ${straight} ×`,
    reached: times <= straight,
  });
  const again = growths.map(({ againRss }) => againRss);
  const spread = Math.max(...again) - Math.min(...again);
  return [
    line(
      'time until queued',
      worst(({ intakeMs }) => intakeMs),
    ),
    line(
      'disk',
      worst(({ diskBytes }) => diskBytes),
    ),
    {
      what: 'from 10,000 to 1,000,000 entries: memory after a start, most − least',
      figure: mb(spread),
      against: '',
      goal: `≤ ${mb(flatBytes)}`,
      reached: spread <= flatBytes,
    },
  ];
}

function growthTable(growths: readonly Growth[]): string {
  const lines = growths.map(
    (growth) =>
      `| ${growth.entries.toLocaleString('en-US')} | ${ms(growth.intakeMs)} (${perSecond((growth.entries * 1000) / growth.intakeMs)}) | ${mb(growth.diskBytes)} | ${mb(growth.soonRss - growth.idleRss)} | ${mb(growth.againRss - growth.idleRss)} | ${ms(growth.removalMs)} | ${ms(growth.openMs)} | ${ms(growth.startMs)} |`,
  );
  return [
    '![Time until queued, disk and memory with 10,000, 100,000 and 1,000,000 entries](../images/growth.svg)',
    '',
    `| entries waiting | queued (arrays of 1,000) | on disk | memory over idle, ${soonMs / 1000} s after they came | after a start | removal | start → open | start → first post |`,
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function chartOf(growths: readonly Growth[]): string {
  const of = (y: (growth: Growth) => number): number[] => growths.map(y);
  const growing = { what: 'entries', sizes, title: 'Time, disk and memory against the number of entries' };
  return growthChart(growing, [
    { label: 'seconds until all are queued', lines: [{ values: of(({ intakeMs }) => intakeMs / 1000) }] },
    { label: 'MB on disk', lines: [{ values: of(({ diskBytes }) => diskBytes / 1e6) }] },
    {
      label: 'MB of memory over idle',
      lines: [
        {
          name: `${soonMs / 1000} s after they came`,
          values: of((each) => (each.soonRss - each.idleRss) / 1e6),
        },
        { name: 'after a start', values: of((each) => (each.againRss - each.idleRss) / 1e6) },
      ],
    },
  ]);
}
