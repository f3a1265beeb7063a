// From input to the request at the service, one at a time on an idle system.
import { percentile } from '../support/figures';
import { ms, type Row } from '../support/report';
import { sleep } from '../support/process';
import { startCore, startService, type Bench, type Part, type Service } from '../support/setting';
import { startWorker } from '../support/worker';
import type { operations, Sample } from '../workers/idle';

const cycles = 350;
const warmUp = 50;
const gapMs = 10;
const coreSamples = 150;

export const idle: Part = async (bench) => {
  const { service, url } = await startService(bench);
  const worker = startWorker<typeof operations>(bench.workspace, 'idle');
  await service.call('set', {});
  const samples = await worker.call('run', url, bench.workspace.folder, cycles, gapMs);
  const { headsMs } = await service.call('report');
  await worker.stop();
  const onWire = (order: number, of: readonly Sample[]): number[] =>
    of.map(({ inputMs }, cycle) => headsMs[cycle * 3 + order]! - inputMs).slice(warmUp);
  const inProcess = (of: readonly Sample[]): number[] =>
    of.map(({ inputMs, writtenMs }) => writtenMs - inputMs).slice(warmUp);
  const raw = onWire(0, samples.raw);
  const memory = onWire(1, samples.memory);
  const disk = onWire(2, samples.disk);
  const commit = samples.commitMs.slice(warmUp);
  const core = await throughCore(bench, service, url);
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
      {
        what: `of it inside the process (until undici writes the request), memory, ${name}`,
        figure: ms(at(inProcess(samples.memory).concat())),
        against: `raw undici ${ms(at(inProcess(samples.raw)))}`,
        ratio: at(inProcess(samples.memory)) / at(inProcess(samples.raw)),
      },
    );
  }
  return {
    title: 'Idle latency',
    rows,
    more: 'Taken at the service, another process of this machine with the same clock: the only place where unlike clients can be compared. Raw, memory, disk and a bare commit take turns in one process. The core nodes wait in `join` (20 ms here).',
  };
};

async function throughCore(bench: Bench, service: Service, url: string): Promise<number[]> {
  const core = await startCore(bench, url);
  await service.call('set', {});
  // Longer intervals than the linger, so that each message is a post of its own.
  const sentMs = await core.call('trickle', 1, coreSamples, 40);
  await sleep(300);
  const { headsMs } = await service.call('report');
  await core.stop();
  return sentMs.map((atMs, at) => headsMs[at]! - atMs).slice(20);
}
