// From input to the request at the service, one at a time on an idle system.
import { percentile } from '../support/figures';
import type { NodeRed } from '../support/node-red';
import { ms, type Row } from '../support/report';
import { sleep } from '../support/process';
import { lifted, startCore, startService, type Part, type Service } from '../support/setting';
import { startWorker } from '../support/worker';
import type { operations } from '../workers/idle';

const rounds = 6;
/** 600 samples are too few: of two such sets of raw undici alone, one had up to twice the p99 of the other. */
const cycles = 700;
const gapMs = 6;
/** By then V8 has compiled almost all of the code. */
const warmUpCycles = 10_000;
const coreSamples = 25;

export const idle: Part = async (bench) => {
  const { service, url } = await startService(bench);
  const worker = startWorker<typeof operations>(bench.workspace, 'idle');
  await worker.call('open', url, bench.workspace.folder, lifted);
  const nodeRed = await startCore(bench, url);
  await worker.call('run', warmUpCycles, 0);
  await throughCore(nodeRed, service);
  const [raw, memory, disk]: [number[], number[], number[]] = [[], [], []];
  const [commit, core]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    await service.call('set', {});
    const inputs = await worker.call('run', cycles, gapMs);
    const { headsMs } = await service.call('report');
    const theirs = await throughCore(nodeRed, service);
    inputs.posts.forEach((atMs, at) => [raw, memory, disk][at % 3]!.push(headsMs[at]! - atMs));
    commit.push(...inputs.commitMs);
    core.push(...theirs);
  }
  const rows: Row[] = [];
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const at = (values: readonly number[]): number => percentile(values, share);
    const most = 1.5 * at(raw) + at(commit);
    rows.push(
      {
        what: `input → request at the service, memory, ${name}`,
        figure: ms(at(memory)),
        against: `raw undici ${ms(at(raw))}`,
        ratio: at(memory) / at(raw),
        goal: '≤ 1.5 ×',
        reached: at(memory) <= 1.5 * at(raw),
      },
      {
        what: `the same on disk, ${name}`,
        figure: ms(at(disk)),
        against: `1.5 × raw undici + one commit (${ms(at(commit))}) = ${ms(most)}`,
        ratio: at(disk) / most,
        goal: '≤ 1 ×',
        reached: at(disk) <= most,
      },
      {
        what: `the same, core nodes, ${name}`,
        figure: `disk ${ms(at(disk))}`,
        against: `core nodes ${ms(at(core))}`,
        ratio: at(disk) / at(core),
      },
    );
  }
  return {
    title: 'Idle latency',
    rows,
    more: `Taken at the service, another process of this machine with the same clock: the only place where unlike clients can be compared. After ${warmUpCycles.toLocaleString('en-US')} cycles without pauses, raw, memory, disk and a bare commit take turns in one process, ${rounds} × ${cycles} times, quota lifted. After every ${cycles}, ${coreSamples} messages go through the core nodes, which wait in _join_ (20 ms here).`,
  };
};

async function throughCore(nodeRed: NodeRed, service: Service): Promise<number[]> {
  await service.call('set', {});
  // Longer intervals than the linger, so that each message is a post of its own.
  const sentMs = await nodeRed.call('trickle', 1, coreSamples, 40);
  await sleep(300);
  const { headsMs } = await service.call('report');
  return sentMs.map((atMs, at) => headsMs[at]! - atMs);
}
