// Segment updates a second when several wait for each user: ours merge, a flow of core nodes does not.
import { steadyRate } from '../support/figures';
import { perSecond, type Row } from '../support/report';
import { sleep } from '../support/process';
import {
  documented,
  newFile,
  startCore,
  startEngine,
  startService,
  throughCore,
  type Bench,
  type Part,
  type Service,
} from '../support/setting';

const perUser = [1, 10, 100];
const users = 4000;
const roundTripMs = 5;
const coreUpdates = 4000;

export const updates: Part = async (bench) => {
  const { service, url } = await startService(bench);
  const core = await startCore(bench, url);
  const { arrivals } = await throughCore(core, service, coreUpdates, roundTripMs);
  const coreRate = steadyRate(arrivals, 10, 'updates');
  await core.stop();
  const rows: Row[] = [];
  for (const rounds of perUser) {
    const rate = await throughEngine(bench, service, url, rounds);
    rows.push({
      what: `segment updates/s with ${rounds} waiting per user`,
      figure: perSecond(rate),
      against: `core nodes ${perSecond(coreRate)}`,
      ratio: rate / coreRate,
    });
  }
  return {
    title: 'Segment updates a second at the documented quota (disk, round trip 5 ms)',
    rows,
    more: `Each of ${users} users gets one update a round, so the updates of one user are far from each other in the queue. The core nodes post every update as it comes, so their rate was measured once.`,
  };
};

async function throughEngine(bench: Bench, service: Service, url: string, rounds: number): Promise<number> {
  const engine = startEngine(bench);
  await engine.call('open', { url, file: newFile(bench), limits: documented });
  await engine.call('pause');
  const perMessage = 500;
  const feed = { first: 1, users, rounds, perMessage, completeOn: 'queued', outstanding: 100 } as const;
  await engine.call('feed', feed);
  await service.call('set', { roundTripMs });
  await engine.call('resume');
  await sleep(5500);
  const { arrivals } = await service.call('report');
  await engine.kill();
  return steadyRate(arrivals, 1000, 'updates');
}
