// Users a second where the delay is the network's own, so that the rate limiter deducts part of it.
import { steadyRate } from '../support/figures';
import { NoLink, openLink, type Link } from '../support/namespaces';
import { perSecond, type Row } from '../support/report';
import {
  documented,
  startCore,
  startService,
  throughCore,
  throughEngine,
  withinLimits,
  type Bench,
  type Part,
} from '../support/setting';
import type { Report } from '../workers/service';

const roundTripsMs = [5, 60, 200];
const users = 7000;

export const network: Part = async (bench) => {
  const rows: Row[] = [];
  for (const roundTripMs of roundTripsMs) {
    try {
      const link = await openLink(roundTripMs);
      try {
        rows.push(...rowsOf(roundTripMs, await overLink(bench, link)));
      } finally {
        await link.close();
      }
    } catch (error) {
      if (!(error instanceof NoLink)) throw error;
      const what = `users/s over a network of ${roundTripMs} ms`;
      rows.push({ what, figure: 'not measured', against: '', note: error.message });
    }
  }
  return { title: "Users a second where the delay is the network's own (disk)", rows };
};

async function overLink(
  bench: Bench,
  link: Link,
): Promise<[Awaited<ReturnType<typeof throughEngine>>, Report]> {
  const through = { through: link.client };
  const started = await startService(bench, link.host, { through: link.server });
  const ours = await throughEngine(bench, started, users, 0, through);
  const core = await startCore(bench, started.url, through);
  const theirs = await throughCore(core, started.service, users);
  await core.stop();
  await started.service.stop();
  return [ours, theirs];
}

function rowsOf(
  roundTripMs: number,
  [report, theirs]: [Awaited<ReturnType<typeof throughEngine>>, Report],
): Row[] {
  const rate = steadyRate(report.arrivals, 1000, 'users');
  const coreRate = steadyRate(theirs.arrivals, 10, 'users');
  const { worstPosts, worstUsers, mostInFlight, distinctUsers, deductedMs } = report;
  // A permit is in use from the request to 1,005 ms after the reply, less what is deducted.
  const usedMs = 1005 + roundTripMs - deductedMs;
  const possible = (1000 * documented.usersPerSecond) / usedMs;
  const over = `over a network of ${roundTripMs} ms`;
  return [
    {
      what: `users/s ${over}`,
      figure: perSecond(rate),
      against: `1,000 users in ${usedMs.toFixed(0)} ms = ${perSecond(possible)}`,
      ratio: rate / possible,
      goal: '≥ 0.99 ×',
      reached: rate >= 0.99 * possible,
      note: `A user-space packet relay between two TUN devices makes the delay. Of it the rate limiter deducted ${deductedMs.toFixed(1)} ms. That is at most 0.4 of it, since more would exceed the quota when the path gets faster. Of a connect only the time counts in which the process was idle.`,
    },
    {
      what: 'the same',
      figure: perSecond(rate),
      against: `core nodes ${perSecond(coreRate)}`,
      ratio: rate / coreRate,
    },
    {
      what: `worst second at the service, calls in flight and users lost ${over}`,
      figure: `${worstPosts} posts, ${worstUsers} users; ${mostInFlight}; ${users - distinctUsers}`,
      against: 'limit 100, 1000; 15; 0',
      goal: '≤ limit',
      reached: withinLimits(report) && distinctUsers === users,
    },
  ];
}
