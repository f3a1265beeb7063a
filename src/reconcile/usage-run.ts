// Reads the usage statistics of a range, keeps what they say, and compares them with what was sent.

import { shortenThrown } from '../audience/shorten';
import { hourMs, hourOf, keptHours, type HourRing } from '../outbox/hour-ring';
import type { SentHour, SentLedger } from '../delivery/sent-counts';
import type { ReadFailure, ReadOutcome } from '../service/outcome';
import type { UsageHour, UsageQuery, UsageReport } from '../service/usage';
import { cleanReport, type CleanReport } from '../service/usage-report';
import { findings, type Finding } from './findings';
import {
  Flow,
  reconcile,
  type ProcessedHour,
  type Reconciliation,
  type Sent,
  type SentOfHour,
} from './reconcile';
import { isFinal, processedHours, UsageHistory } from './usage-history';

/** What a run needs; an engine and a client have all of it. */
export interface UsageSource {
  readonly read: (query: UsageQuery) => Promise<ReadOutcome<UsageReport>>;
  readonly sent: Pick<SentLedger, 'read'>;
  /** Of the name `usageRingName`. */
  readonly ring: HourRing;
}

export interface UsageAsked {
  readonly memberId: number;
  /** Epoch ms. The whole hour of each counts. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly nowMs: number;
  /** One sum instead of hours in the report. The comparison goes by hours all the same. */
  readonly aggregate: boolean;
}

export interface UsageRun {
  readonly report: CleanReport;
  /** Null when what was sent cannot be read; then `findings` is empty. */
  readonly reconciliation: Reconciliation | null;
  /** Why there is none. */
  readonly reconciliationError: string | null;
  readonly findings: readonly Finding[];
}

/** The most that one question asks for: with full log lines, some 2 MB. */
const hoursPerRead = 72;
/** So far before the range the comparison begins, since the service may be a day late. */
const warmUpHours = 48;

/** Never rejects unless `source.read` does. */
export async function runUsage(source: UsageSource, asked: UsageAsked): Promise<ReadOutcome<UsageRun>> {
  const [first, last] = [hourOf(asked.fromMs), hourOf(asked.toMs)];
  const kept = await keptBefore(source, first, last);
  const readFrom = 'error' in kept ? first : kept.readFrom;
  const before = await readHours(source, asked.memberId, readFrom, first * hourMs - 1000);
  if (before.kind !== 'read') return before;
  const hourly = await readHours(source, asked.memberId, first, Math.max(asked.toMs, last * hourMs));
  if (hourly.kind !== 'read') return hourly;
  // A record whose hour cannot be read counts in the range that was asked for.
  const inRange = hourly.value.filter(
    ({ processedHourMs }) => processedHourMs === null || hourOf(processedHourMs) >= first,
  );
  const report = asked.aggregate
    ? await source.read({
        memberId: asked.memberId,
        startMs: first * hourMs,
        endMs: asked.toMs,
        aggregate: true,
      })
    : ({ kind: 'read', value: { aggregated: false, hours: inRange } } as const);
  if (report.kind !== 'read') return report;
  const clean = cleanReport(report.value);
  const fresh = processedHours(
    [...before.value, ...hourly.value],
    readFrom,
    last,
    'error' in kept ? null : kept.processed,
  );
  const compared =
    'error' in kept ? kept : await compare(source, asked, kept, fresh, unknownUsersOf(inRange));
  if ('error' in compared)
    return {
      kind: 'read',
      value: { report: clean, reconciliation: null, reconciliationError: compared.error, findings: [] },
    };
  return { kind: 'read', value: { report: clean, reconciliationError: null, ...compared } };
}

/** What is known already, and from which hour on the service is to be asked. */
interface Kept {
  readonly sent: readonly SentOfHour[];
  readonly processed: ReadonlyMap<number, ProcessedHour>;
  readonly readFrom: number;
}

async function keptBefore(
  { sent, ring }: UsageSource,
  first: number,
  last: number,
): Promise<Kept | { readonly error: string }> {
  try {
    const hours = [...(await sent.read(first - warmUpHours, last))].map(([hour, kept]) => sumOf(hour, kept));
    const history = new UsageHistory(ring);
    const processed = new Map<number, ProcessedHour>();
    let readFrom = first;
    for (let hour = last; hour >= Math.min(first, ...hours.map((one) => one.hour)); hour -= 1) {
      const known = await history.get(hour);
      if (known !== null) processed.set(hour, known);
      if (hour < first && !isFinal(known)) readFrom = hour;
    }
    return { sent: hours, processed, readFrom };
  } catch (error) {
    return { error: shortenThrown(error) };
  }
}

async function compare(
  { ring }: UsageSource,
  { fromMs, toMs, nowMs }: UsageAsked,
  kept: Kept,
  fresh: ReadonlyMap<number, ProcessedHour>,
  unknownUsers: readonly string[],
): Promise<
  (Pick<UsageRun, 'findings'> & { readonly reconciliation: Reconciliation }) | { readonly error: string }
> {
  try {
    const history = new UsageHistory(ring);
    // An older hour would take the place of one that is kept.
    const oldest = hourOf(nowMs) - keptHours;
    for (const hour of fresh.values())
      if (hour.hour > oldest) await history.put({ ...hour, readAtMs: nowMs });
  } catch (error) {
    return { error: shortenThrown(error) };
  }
  const flow = new Flow({
    sent: kept.sent,
    processed: [...new Map([...kept.processed, ...fresh]).values()],
    firstHour: hourOf(fromMs),
    lastHour: hourOf(toMs),
    nowHour: hourOf(nowMs),
  });
  return { reconciliation: reconcile(flow), findings: findings(flow, unknownUsers) };
}

/** Hour by hour, a few days a question: a reply of two weeks of full logs would be too large. */
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

function sumOf(hour: number, accounts: SentHour): SentOfHour {
  const sum = { users: 0, adds: 0, removes: 0 };
  const byAccount: Record<string, Sent> = {};
  const segments = new Map<string, { adds: number; removes: number }>();
  for (const [account, counts] of accounts) {
    const { adds, removes } = counts.total;
    byAccount[account] = { users: counts.users, adds, removes };
    sum.users += counts.users;
    sum.adds += adds;
    sum.removes += removes;
    for (const [key, pair] of counts.segments) {
      const before = segments.get(key) ?? { adds: 0, removes: 0 };
      segments.set(key, { adds: before.adds + pair.adds, removes: before.removes + pair.removes });
    }
  }
  return { hour, ...sum, segments, accounts: byAccount };
}

function unknownUsersOf(hours: readonly UsageHour[]): string[] {
  return [...new Set(hours.flatMap(({ log }) => log?.inactiveUsers ?? []))];
}
