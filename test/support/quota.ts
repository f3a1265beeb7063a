// The quota as the sandbox saw it: what a client must never exceed in any second.
import { strict as assert } from 'node:assert';
import { documentedLimits, type Limits, type Peaks } from '../../src/sandbox/sandbox';

/** The worst that was tried stays within the limits, nothing was refused for one, and no user came twice in a call. */
export function assertQuotaKept({ worst, totals }: Peaks, changed: Partial<Limits> = {}): void {
  const limits = { ...documentedLimits, ...changed };
  const over = [
    ['posts a second', worst.postsPerSecond, limits.postsPerSecond],
    ['users a second', worst.usersPerSecond, limits.usersPerSecond],
    ['calls in flight', worst.concurrent, limits.concurrent],
    ['users a call', worst.usersPerCall, limits.usersPerCall],
    ['segments a user', worst.segmentsPerUser, limits.segmentsPerUser],
    ['bytes a body', worst.bodyBytes, limits.bodyBytes],
  ] as const;
  assert.deepEqual(
    over.filter(([, tried, limit]) => tried > limit),
    [],
    'what was tried is over the limit',
  );
  const { rateLimited, repeatedUsers, repeatedSegments } = totals;
  assert.deepEqual(
    { rateLimited, repeatedUsers, repeatedSegments },
    { rateLimited: 0, repeatedUsers: 0, repeatedSegments: 0 },
  );
}
