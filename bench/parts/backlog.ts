// A large backlog on disk: appends, memory, a removal that overtakes it, and a start with the whole backlog.
import { mb, ms, perSecond, type Row } from '../support/report';
import { documented, newFile, startEngine, startService } from '../support/setting';
import type { Bench, Part, Service } from '../support/setting';
import { nowMs, sleep } from '../support/process';
import { userId } from '../workers/entries';

const sizes = [10_000, 100_000, 1_000_000];

interface Growth {
  readonly entries: number;
  readonly intakePerSecond: number;
  readonly idleRss: number;
  readonly waitingRss: number;
  readonly peakRss: number;
  readonly removalMs: number;
  readonly startMs: number;
  readonly openMs: number;
  /** Of the process that was started again. */
  readonly againRss: number;
}

export const backlog: Part = async (bench) => {
  const { service, url } = await startService(bench);
  const growths: Growth[] = [];
  for (const entries of sizes) growths.push(await measure(bench, service, url, entries));
  const last = growths.at(-1)!;
  return {
    title: 'With 1,000,000 entries waiting on disk',
    rows: rowsOf(last, bench.shared.coreUsersPerSecond),
    more: growthTable(growths),
  };
};

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
  let peakRss = 0;
  const watch = setInterval(() => {
    void engine.call('rssBytes').then(
      (rss) => (peakRss = Math.max(peakRss, rss)),
      () => undefined,
    );
  }, 100);
  const { tookMs, failed } = await engine.call('feed', feed);
  if (failed !== null) throw new Error(failed);
  await sleep(3000);
  const waitingRss = await engine.call('rssBytes');
  const inputMs = await engine.call('remove', user);
  clearInterval(watch);
  const { watchedAtMs } = await service.call('report');
  await engine.kill();
  const { startMs, openMs, againRss } = await startAgain(bench, service, url, file);
  return {
    entries,
    intakePerSecond: (entries * 1000) / tookMs,
    idleRss,
    waitingRss,
    peakRss,
    removalMs: (watchedAtMs ?? Infinity) - inputMs,
    startMs,
    openMs,
    againRss,
  };
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

function rowsOf(last: Growth, coreUsersPerSecond: number | undefined): Row[] {
  const coreMs = (last.entries / (coreUsersPerSecond ?? 1000)) * 1000;
  const grownBytes = last.waitingRss - last.idleRss;
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
    {
      what: 'resident memory, after they came',
      figure: mb(last.waitingRss),
      against: `idle ${mb(last.idleRss)} (highest while they came: ${mb(last.peakRss)})`,
      ratio: last.waitingRss / last.idleRss,
      goal: '+ ≤ 150 MB',
      reached: grownBytes <= 150e6,
      note: `+ ${mb(grownBytes)}, in a process with an engine and no Node-RED.`,
    },
    {
      what: 'resident memory, after a start with them',
      figure: mb(last.againRss),
      against: `idle ${mb(last.idleRss)}`,
      ratio: last.againRss / last.idleRss,
      goal: '+ ≤ 150 MB',
      reached: last.againRss - last.idleRss <= 150e6,
      note: `+ ${mb(last.againRss - last.idleRss)}.`,
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

function growthTable(growths: readonly Growth[]): string {
  const lines = growths.map(
    (growth) =>
      `| ${growth.entries.toLocaleString('en-US')} | ${perSecond(growth.intakePerSecond)} | ${mb(growth.waitingRss - growth.idleRss)} | ${mb(growth.againRss - growth.idleRss)} | ${ms(growth.removalMs)} | ${ms(growth.openMs)} | ${ms(growth.startMs)} |`,
  );
  return [
    '| entries waiting | intake (arrays of 1,000, queued) | memory over idle, after they came | after a start | removal | start → open | start → first post |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
    '',
    growthWords(growths),
  ].join('\n');
}

/** Says where ten times the entries are not ten times the work (or, for what ought to be flat, not the same). */
function growthWords(growths: readonly Growth[]): string {
  const words: string[] = [];
  growths.slice(1).forEach((growth, at) => {
    const before = growths[at]!;
    const step = `${before.entries.toLocaleString('en-US')} → ${growth.entries.toLocaleString('en-US')}`;
    const producer = growth.intakePerSecond / before.intakePerSecond;
    if (producer < 0.8 || producer > 1.25)
      words.push(
        `Intake is not straight at ${step} (${producer.toPrecision(2)} ×): a short run includes the compiler's warm-up and no checkpoint of the database. Past the memory mark, entries are only written, not kept.`,
      );
    const memory = growth.waitingRss - growth.idleRss - (before.waitingRss - before.idleRss);
    if (memory > 20e6)
      words.push(
        `Memory grows at ${step} (+ ${mb(memory)}): up to the memory mark entries live in memory; beyond it only what the collector has not yet given back does.`,
      );
    if (growth.startMs > before.startMs + 300)
      words.push(`A start takes longer at ${step} (+ ${ms(growth.startMs - before.startMs)}).`);
  });
  if (words.length === 0) words.push('Every curve is straight or flat within a quarter.');
  return words.join('\n');
}
