// Looks up the segments that flows name, and says which of them posts would have no effect for.
//
// The service asks to wait some 20 minutes after a segment was made (service.md 3.2), and does not say when that was.
// It was not after its last change, and not after we first saw it: so a segment is young only if both are recent.

import * as z from 'zod';
import type { FixedSegment } from '../audience/fixed-segments';
import type { Outbox } from '../outbox/outbox';
import type { ReadOutcome } from '../service/outcome';
import type { Segment } from '../service/schemas';
import type { SegmentList, SegmentQuery } from '../service/segments';

export const youngForMs = 20 * 60_000;

interface Named {
  readonly key: string;
  /** As it was written: an id, or a code. */
  readonly segment: number | string;
}

export type SegmentWarning =
  /** `unknown`: a code of this member's that is not listed. */
  | (Named & { readonly kind: 'unknown' | 'inactive' })
  /** The same code but for its case. */
  | (Named & { readonly kind: 'otherCase'; readonly listed: string })
  /** Until then (epoch ms). `keys`: of the blocks that mean it, by id and by code. */
  | (Named & { readonly kind: 'young'; readonly untilMs: number; readonly keys: readonly string[] });

/** Another member may let this one fill its segments, also without listing them to it: that is nothing to warn of. */
export type SegmentFinding = SegmentWarning | (Named & { readonly kind: 'notOurs' });

export function isWarning(finding: SegmentFinding): finding is SegmentWarning {
  return finding.kind !== 'notOurs';
}

export interface SegmentCheckOptions {
  readonly read: (query: SegmentQuery) => Promise<ReadOutcome<SegmentList>>;
  /** Where it is kept when a segment was first seen. */
  readonly outbox: Pick<Outbox, 'getMeta' | 'setMeta'>;
  readonly member: number;
  readonly nowMs: number;
}

/** One page of the service. */
const perRead = 100;
const mostCodes = 100;
/** A longer list is not read for the sake of some codes. */
const mostListed = 2_000;
const mostIds = 1_000;

/**
 * The list has the member's own segments and those that others share with it (service.md 5). Whether it may fill
 * them it does not say. Never rejects unless `read` or the outbox does.
 */
export async function checkSegments(
  wanted: readonly FixedSegment[],
  options: SegmentCheckOptions,
): Promise<ReadOutcome<SegmentFinding[]>> {
  const segments = distinct(wanted);
  const lookedUp = await lookUp(segments, options);
  if (lookedUp.kind !== 'read') return lookedUp;
  const seen = await noteSeen(lookedUp.value, options);
  const findings = lookedUp.value.flatMap(({ wanted: one, listed }) => {
    const finding = findingOf(one, listed, seen.get(one.key) ?? options.nowMs, options);
    return finding === null ? [] : [finding];
  });
  return { kind: 'read', value: findings };
}

interface LookedUp {
  readonly wanted: FixedSegment;
  readonly listed: Segment | null;
}

/** Each once as it is written; where some add to it and others remove from it, as one that is added to. */
function distinct(wanted: readonly FixedSegment[]): FixedSegment[] {
  const byName = new Map<string, FixedSegment>();
  for (const one of wanted) {
    const name = one.by === 'id' ? one.key : `${one.key} ${one.code}`;
    if (one.adds || !byName.has(name)) byName.set(name, one);
  }
  return [...byName.values()];
}

async function lookUp(
  segments: readonly FixedSegment[],
  { read, member }: SegmentCheckOptions,
): Promise<ReadOutcome<LookedUp[]>> {
  const byId = segments.filter((one) => one.by === 'id').slice(0, mostIds);
  const byCode = segments.filter((one) => one.by === 'code').slice(0, mostCodes);
  const found: LookedUp[] = [];
  for (let from = 0; from < byId.length; from += perRead) {
    const some = byId.slice(from, from + perRead);
    const outcome = await read({ ids: [...new Set(some.map(({ id }) => id))] });
    if (outcome.kind !== 'read') return outcome;
    const listed = new Map(outcome.value.segments.map((one) => [one.id, one]));
    found.push(...some.map((one) => ({ wanted: one, listed: listed.get(one.id) ?? null })));
  }
  const listed = await readCodes(new Map(byCode.map(({ key, code }) => [key, code])), member, read);
  if (listed.kind !== 'read') return listed;
  found.push(...byCode.map((one) => ({ wanted: one, listed: listed.value.get(one.key) ?? null })));
  return { kind: 'read', value: found };
}

/**
 * The segments with these codes, by the keys of their blocks. Reads are few (service.md 5): a page of the list has a
 * hundred codes, so the list is read as far as that takes fewer reads than asking for each code that is still missing.
 */
async function readCodes(
  wanted: ReadonlyMap<string, string>,
  member: number,
  read: SegmentCheckOptions['read'],
): Promise<ReadOutcome<ReadonlyMap<string, Segment>>> {
  const found = new Map<string, Segment>();
  const take = (segments: readonly Segment[]): void => {
    for (const segment of segments) {
      const key = keyOfCode(segment, member);
      if (key !== null && wanted.has(key)) found.set(key, segment);
    }
  };
  const missing = (): string[] => [...wanted].flatMap(([key, code]) => (found.has(key) ? [] : [code]));
  if (wanted.size === 0) return { kind: 'read', value: found };
  const first = await read({ limit: perRead });
  if (first.kind !== 'read') return first;
  take(first.value.segments);
  const total = first.value.total ?? Infinity;
  const pagesLeft = Math.ceil((total - perRead) / perRead);
  if (total <= mostListed && pagesLeft > 0 && pagesLeft <= missing().length) {
    const rest = await read({ start: perRead });
    if (rest.kind !== 'read') return rest;
    take(rest.value.segments);
  }
  for (const code of missing()) {
    const one = await read({ code });
    if (one.kind !== 'read') return one;
    take(one.value.segments);
  }
  return { kind: 'read', value: found };
}

/** The key of the blocks that name a segment by its code; its owner is this member where the service does not say. */
function keyOfCode({ code, memberId }: Segment, member: number): string | null {
  return code === null ? null : `c${memberId ?? member}:${code.toLowerCase()}`;
}

function findingOf(
  wanted: FixedSegment,
  listed: Segment | null,
  firstSeenMs: number,
  { member, nowMs }: SegmentCheckOptions,
): SegmentFinding | null {
  const named = { key: wanted.key, segment: wanted.by === 'id' ? wanted.id : wanted.code };
  if (listed === null) {
    if (wanted.by === 'id') return { kind: 'notOurs', ...named };
    // Whoever writes another member's id knows that the segment is not of this one.
    return wanted.member === member ? { kind: 'unknown', ...named } : null;
  }
  if (listed.state === 'inactive') return { kind: 'inactive', ...named };
  const untilMs = Math.min(firstSeenMs, changedMs(listed)) + youngForMs;
  if (wanted.adds && untilMs > nowMs) {
    const code = keyOfCode(listed, member);
    return { kind: 'young', ...named, untilMs, keys: [`i${listed.id}`, ...(code === null ? [] : [code])] };
  }
  if (wanted.by === 'id')
    return (listed.memberId ?? member) === member ? null : { kind: 'notOurs', ...named };
  return listed.code === null || listed.code === wanted.code
    ? null
    : { kind: 'otherCase', ...named, listed: listed.code };
}

/** When it was changed last; -Infinity when the service does not say, so that nothing is called young without a sign. */
function changedMs({ lastModified }: Segment): number {
  const ms = lastModified === null ? NaN : Date.parse(`${lastModified.trim().replace(' ', 'T')}Z`);
  return Number.isFinite(ms) ? ms : -Infinity;
}

// ── First seen ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Part of the store: never change it. */
const seenKey = 'segments first seen';
const mostSeen = 2_000;
const seenSchema = z.array(z.tuple([z.string(), z.number()]));

/** Notes the segments that are listed, and says since when each is known. */
async function noteSeen(
  lookedUp: readonly LookedUp[],
  { outbox, nowMs }: SegmentCheckOptions,
): Promise<ReadonlyMap<string, number>> {
  const text = await outbox.getMeta(seenKey);
  const seen = new Map(parseSeen(text));
  const fresh = lookedUp.filter(({ wanted, listed }) => listed !== null && !seen.has(wanted.key));
  if (fresh.length === 0) return seen;
  for (const { wanted } of fresh) seen.set(wanted.key, nowMs);
  // The oldest go first; a segment that is seen again after that is young only if it has just been changed, too.
  await outbox.setMeta(seenKey, JSON.stringify([...seen].slice(-mostSeen)));
  return seen;
}

/**
 * Segments that were first seen less than 20 minutes ago, by whomever of the member's nodes, as they are known by their
 * keys: codes in lower case. Rejects as the outbox does.
 */
export async function recentlySeen(
  outbox: Pick<Outbox, 'getMeta'>,
  nowMs: number,
): Promise<readonly FixedSegment[]> {
  const seen = parseSeen(await outbox.getMeta(seenKey));
  return seen.flatMap(([key, firstMs]) => (firstMs + youngForMs > nowMs ? segmentOfKey(key) : []));
}

function segmentOfKey(key: string): FixedSegment[] {
  const [, id, member, code] = /^(?:i(\d+)|c(\d+):(.+))$/s.exec(key) ?? [];
  if (id !== undefined) return [{ by: 'id', id: Number(id), key, adds: true }];
  if (member === undefined || code === undefined) return [];
  return [{ by: 'code', code, member: Number(member), key, adds: true }];
}

function parseSeen(text: string | null): [string, number][] {
  try {
    const read = seenSchema.safeParse(text === null ? [] : JSON.parse(text));
    return read.success ? read.data : [];
  } catch {
    return [];
  }
}
