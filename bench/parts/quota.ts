// Users a second at the documented quota, at three round trips whose time the service spends.
import { steadyRate } from '../support/figures';
import { perSecond, type Row } from '../support/report';
import {
  startCore,
  startService,
  throughCore,
  throughEngine,
  withinLimits,
  type Part,
} from '../support/setting';
import type { Report } from '../workers/service';

const roundTripsMs = [5, 60, 200];
const users = 7000;

export const quota: Part = async (bench) => {
  const started = await startService(bench);
  const core = await startCore(bench, started.url);
  const rows: Row[] = [];
  for (const roundTripMs of roundTripsMs) {
    const ours = await throughEngine(bench, started, users, roundTripMs);
    const theirs = await throughCore(core, started.service, users, roundTripMs);
    rows.push(...rowsOf(roundTripMs, ours, theirs));
    bench.shared.coreUsersPerSecond = steadyRate(theirs.arrivals, 10, 'users');
  }
  return { title: 'Users a second at the documented quota (disk)', rows };
};

function rowsOf(roundTripMs: number, ours: Report, theirs: Report): Row[] {
  const rate = steadyRate(ours.arrivals, 1000, 'users');
  const possible = 1000 / (1 + roundTripMs / 1000);
  const coreRate = steadyRate(theirs.arrivals, 10, 'users');
  const at = `at a round trip of ${roundTripMs} ms`;
  return [
    {
      what: `users/s ${at}`,
      figure: perSecond(rate),
      against: `1000 ÷ (1 + round trip) = ${perSecond(possible)}`,
      ratio: rate / possible,
      goal: '≥ 0.97 ×',
      reached: rate / possible >= 0.97,
    },
    {
      what: `the same`,
      figure: perSecond(rate),
      against: `core nodes ${perSecond(coreRate)}`,
      ratio: rate / coreRate,
    },
    {
      what: `worst second at the service ${at}: posts, users; calls in flight`,
      figure: worst(ours),
      against: `limit 100, 1000; 15 (core nodes ${worst(theirs)})`,
      goal: '≤ limit',
      reached: withinLimits(ours),
    },
    {
      what: `users lost ${at}`,
      figure: String(users - ours.distinctUsers),
      against: `core nodes ${users - theirs.distinctUsers}`,
      goal: '0',
      reached: ours.distinctUsers === users,
    },
  ];
}

function worst({ worstPosts, worstUsers, mostInFlight }: Report): string {
  return `${worstPosts}, ${worstUsers}; ${mostInFlight}`;
}
