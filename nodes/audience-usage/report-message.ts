// Report message of the usage node: the service's figures, the comparison with sent entries, and the findings.

import { hourMs } from '../../src/queue/index';
import type { Range, UsageRun } from '../../src/usage/index';
import type { ToldFinding } from './finding-words';

export interface ReportContext {
  readonly member: number;
  readonly range: Range;
  /** Entries in the member's queue. */
  readonly queued: number;
}

export function reportOf(
  { report, reconciliation, reconciliationError }: UsageRun,
  { member, range, queued }: ReportContext,
  findings: readonly ToldFinding[],
) {
  return {
    member,
    from: new Date(range.fromMs).toISOString(),
    to: new Date(range.toMs).toISOString(),
    ...report,
    reconciliation: reconciliation === null ? null : withTimes(reconciliation, queued),
    ...(reconciliationError !== null && { reconciliationError }),
    findings,
  };
}

function withTimes(reconciliation: NonNullable<UsageRun['reconciliation']>, queued: number) {
  const { accountedFor, notProcessed, unconfirmed } = reconciliation;
  return {
    ...reconciliation,
    /** Entries that wait here; users (once a request) from then on. */
    states: {
      queued,
      accepted: notProcessed.users - unconfirmed.users,
      processed: accountedFor.users,
      unconfirmed: unconfirmed.users,
    },
    hours: reconciliation.hours.map(({ hour, ...rest }) => ({
      hour: new Date(hour * hourMs).toISOString(),
      ...rest,
    })),
  };
}
