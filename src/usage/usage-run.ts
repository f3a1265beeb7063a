// Runs a usage report: reads the usage statistics of a range, stores them, and compares them with the posts sent.

import { shortenThrown } from '../entry/shorten';
import { hourMs, hourOf, keptHours, type HourRing } from '../queue/hour-ring';
import type { SentCountStore, SentHour, SentPair } from '../delivery/monitor/sent-counts';
import type { ReadFailure, ReadOutcome } from '../service/reply/outcome';
import type { UsageHour, UsageQuery, UsageReport } from '../service/usage';
import { cleanReport, type CleanReport } from '../service/usage-report';
import { findings, type Finding } from './findings';
import {
  Flow,
  reconcile,
  sumSent,
  type ProcessedHour,
  type Reconciliation,
  type Sent,
  type SentOfHour,
} from './reconcile';
import { isFinal, processedHours, UsageHistory } from './usage-history';

/** Sources of a run: the service, the engine's counts of sent posts, and stored statistics. */
export interface UsageSource {
  readonly read: (query: UsageQuery) => Promise<ReadOutcome<UsageReport>>;
  readonly sent: Pick<SentCountStore, 'read'>;
  /** The ring with the name `usageRingName`. */
  readonly ring: HourRing;
}

export interface UsageRequest {
  readonly memberId: number;
  /** Epoch ms; the range covers the whole hours of both times. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly nowMs: number;
  /** Reports one sum instead of hours; the comparison always uses hours. */
  readonly aggregate: boolean;
}

export interface UsageRun {
  readonly report: CleanReport;
  /** Null if the counts of sent posts cannot be read or stored; `findings` is empty then. */
  readonly reconciliation: Reconciliation | null;
  /** The reason for a missing reconciliation, else null. */
  readonly reconciliationError: string | null;
  readonly findings: readonly Finding[];
}

/** Hours in one read, whose reply has about 2 MB with full log lines. */
const hoursPerRead = 72;
/** The comparison begins this long before the range, since the service may count posts a day later. */
const lookBackHours = 48;

/** Never rejects unless `source.read` does. */
export async function runUsage(source: UsageSource, request: UsageRequest): Promise<ReadOutcome<UsageRun>> {
  const { memberId, toMs } = request;
  const [first, last] = [hourOf(request.fromMs), hourOf(toMs)];
  const stored = await readStored(source, first, last);
  const readFrom = 'error' in stored ? first : stored.readFrom;
  const before = await readHours(source, memberId, readFrom, first * hourMs - 1000);
  if (before.kind !== 'read') return before;
  const hourly = await readHours(source, memberId, first, Math.max(toMs, last * hourMs));
  if (hourly.kind !== 'read') return hourly;
  // A record with an unreadable hour counts as part of the requested range.
  const inRange = hourly.value.filter(
    ({ processedHourMs }) => processedHourMs === null || hourOf(processedHourMs) >= first,
  );
  const report = request.aggregate
    ? await source.read({ memberId, startMs: first * hourMs, endMs: toMs, aggregate: true })
    : ({ kind: 'read', value: { aggregated: false, hours: inRange } } as const);
  if (report.kind !== 'read') return report;
  const clean = cleanReport(report.value);
  const records = [...before.value, ...hourly.value];
  const compared =
    'error' in stored ? stored : await compare(source, request, stored, records, unknownUsersOf(inRange));
  if ('error' in compared)
    return {
      kind: 'read',
      value: { report: clean, reconciliation: null, reconciliationError: compared.error, findings: [] },
    };
  return { kind: 'read', value: { report: clean, reconciliationError: null, ...compared } };
}

/** Stored counts of sent and processed posts. */
interface Stored {
  readonly sent: readonly SentOfHour[];
  readonly processed: ReadonlyMap<number, ProcessedHour>;
  /** The first hour that has to be read from the service. */
  readonly readFrom: number;
}

async function readStored(
  { sent, ring }: UsageSource,
  first: number,
  last: number,
): Promise<Stored | { readonly error: string }> {
  try {
    const sentHours = await sent.read(first - lookBackHours, last);
    const hours = [...sentHours].map(([hour, accounts]) => sentOf(hour, accounts));
    const history = new UsageHistory(ring);
    const processed = new Map<number, ProcessedHour>();
    let readFrom = first;
    for (let hour = last; hour >= Math.min(first, ...hours.map((one) => one.hour)); hour -= 1) {
      const stored = await history.get(hour);
      if (stored !== null) processed.set(hour, stored);
      if (hour < first && !isFinal(stored)) readFrom = hour;
    }
    return { sent: hours, processed, readFrom };
  } catch (error) {
    return { error: shortenThrown(error) };
  }
}

async function compare(
  { ring }: UsageSource,
  { fromMs, toMs, nowMs }: UsageRequest,
  stored: Stored,
  records: readonly UsageHour[],
  unknownUsers: readonly string[],
): Promise<
  (Pick<UsageRun, 'findings'> & { readonly reconciliation: Reconciliation }) | { readonly error: string }
> {
  const fresh = processedHours(records, stored.readFrom, hourOf(toMs), stored.processed);
  try {
    const history = new UsageHistory(ring);
    // An hour older than the ring would overwrite a newer one.
    const oldest = hourOf(nowMs) - keptHours;
    for (const hour of fresh.values())
      if (hour.hour > oldest) await history.put({ ...hour, readAtMs: nowMs });
  } catch (error) {
    return { error: shortenThrown(error) };
  }
  const flow = new Flow({
    sent: stored.sent,
    processed: [...new Map([...stored.processed, ...fresh]).values()],
    firstHour: hourOf(fromMs),
    lastHour: hourOf(toMs),
    nowHour: hourOf(nowMs),
  });
  return { reconciliation: reconcile(flow), findings: findings(flow, unknownUsers) };
}

/** Reads the hours in several requests, since one reply with full logs of two weeks would be too large. */
async function readHours(
  { read }: UsageSource,
  memberId: number,
  first: number,
  endMs: number,
): Promise<ReadFailure | { readonly kind: 'read'; readonly value: readonly UsageHour[] }> {
  const hours: UsageHour[] = [];
  for (let from = first; from * hourMs <= endMs; from += hoursPerRead) {
    const end = Math.min((from + hoursPerRead) * hourMs - 1000, endMs);
    const outcome = await read({ memberId, startMs: from * hourMs, endMs: end });
    if (outcome.kind !== 'read') return outcome;
    hours.push(...outcome.value.hours);
  }
  return { kind: 'read', value: hours };
}

function sentOf(hour: number, accounts: SentHour): SentOfHour {
  const byAccount: Record<string, Sent> = {};
  const segments = new Map<string, SentPair>();
  for (const [account, { users, total, segments: its }] of accounts) {
    byAccount[account] = { users, adds: total.adds, removes: total.removes };
    for (const [key, { adds, removes }] of its) {
      const before = segments.get(key) ?? { adds: 0, removes: 0 };
      segments.set(key, { adds: before.adds + adds, removes: before.removes + removes });
    }
  }
  return { hour, ...sumSent(Object.values(byAccount)), segments, accounts: byAccount };
}

function unknownUsersOf(hours: readonly UsageHour[]): string[] {
  return [...new Set(hours.flatMap(({ log }) => log?.inactiveUsers ?? []))];
}
