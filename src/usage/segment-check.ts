// Looks up the segments that flows name, and warns of those for which posts have no effect.
//
// A new segment accepts no users for about 20 minutes, its warm-up (service.md 3.2), but the service does not report
// when it was made. It was made before its last change and before we first saw it, so it may be in its warm-up only if
// both are recent.

import * as z from 'zod';
import type { FixedSegment } from '../entry/mapping/fixed-segments';
import type { QueueStore } from '../queue/store';
import type { ReadOutcome } from '../service/reply/outcome';
import type { Segment } from '../service/reply/schemas';
import type { SegmentList, SegmentQuery } from '../service/segments';

export const warmUpMs = 20 * 60_000;

interface Named {
  readonly key: string;
  /** The id or code, as the flow spells it. */
  readonly segment: number | string;
}

export type SegmentWarning =
  /** `unknown`: a code of this member that is not listed. */
  | (Named & { readonly kind: 'unknown' | 'inactive' })
  /** The listed code differs in case. */
  | (Named & { readonly kind: 'otherCase'; readonly listed: string })
  /** The warm-up lasts until `untilMs` (epoch ms). `keys`: keys of its blocks, by id and by code. */
  | (Named & { readonly kind: 'warmUp'; readonly untilMs: number; readonly keys: readonly string[] });

/** `notOurs` is no warning: another member may allow this one to fill its segments without listing them. */
export type SegmentFinding = SegmentWarning | (Named & { readonly kind: 'notOurs' });

export function isWarning(finding: SegmentFinding): finding is SegmentWarning {
  return finding.kind !== 'notOurs';
}

export interface SegmentCheckOptions {
  readonly read: (query: SegmentQuery) => Promise<ReadOutcome<SegmentList>>;
  /** Stores when each segment was first seen. */
  readonly store: Pick<QueueStore, 'getMeta' | 'setMeta'>;
  readonly member: number;
  readonly nowMs: number;
}

/** Size of one page (service.md 5). */
const perRead = 100;
const maxCodes = 100;
/** A longer list is not read as a whole. */
const maxListed = 2_000;
const maxIds = 1_000;

/**
 * Looks up segments in the service's list, which contains the member's own segments and those that others share with it
 * (service.md 5), but not whether the member may fill the latter. Never rejects unless `read` or the queue does.
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

/** The segments without duplicates of the same spelling. `adds` is true if any of the duplicates adds. */
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
  const byId = segments.filter((one) => one.by === 'id').slice(0, maxIds);
  const byCode = segments.filter((one) => one.by === 'code').slice(0, maxCodes);
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
 * The segments with these codes, by the keys of their blocks. The service allows few reads (service.md 5), and a page
 * of the list has a hundred codes. So the rest of the list is read if it takes fewer reads than one for each missing
 * code.
 */
async function readCodes(
  wanted: ReadonlyMap<string, string>,
  member: number,
  read: SegmentCheckOptions['read'],
): Promise<ReadOutcome<ReadonlyMap<string, Segment>>> {
  const found = new Map<string, Segment>();
  const collect = (segments: readonly Segment[]): void => {
    for (const segment of segments) {
      const key = keyOfCode(segment, member);
      if (key !== null && wanted.has(key)) found.set(key, segment);
    }
  };
  const missing = (): string[] => [...wanted].flatMap(([key, code]) => (found.has(key) ? [] : [code]));
  if (wanted.size === 0) return { kind: 'read', value: found };
  const first = await read({ limit: perRead });
  if (first.kind !== 'read') return first;
  collect(first.value.segments);
  const total = first.value.total ?? Infinity;
  const pagesLeft = Math.ceil((total - perRead) / perRead);
  if (total <= maxListed && pagesLeft > 0 && pagesLeft <= missing().length) {
    const rest = await read({ start: perRead });
    if (rest.kind !== 'read') return rest;
    collect(rest.value.segments);
  }
  for (const code of missing()) {
    const one = await read({ code });
    if (one.kind !== 'read') return one;
    collect(one.value.segments);
  }
  return { kind: 'read', value: found };
}

/** The key of blocks that name a segment by code. Without an owner in the list, the owner is this member. */
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
    // A code with another member's id is meant for a segment of that member, which need not be listed.
    return wanted.member === member ? { kind: 'unknown', ...named } : null;
  }
  if (listed.state === 'inactive') return { kind: 'inactive', ...named };
  const untilMs = Math.min(firstSeenMs, changedMs(listed)) + warmUpMs;
  if (wanted.adds && untilMs > nowMs) {
    const code = keyOfCode(listed, member);
    return { kind: 'warmUp', ...named, untilMs, keys: [`i${listed.id}`, ...(code === null ? [] : [code])] };
  }
  if (wanted.by === 'id')
    return (listed.memberId ?? member) === member ? null : { kind: 'notOurs', ...named };
  return listed.code === null || listed.code === wanted.code
    ? null
    : { kind: 'otherCase', ...named, listed: listed.code };
}

/** Time of the last change; -Infinity if the list has none, so that a segment without a date has no warm-up. */
function changedMs({ lastModified }: Segment): number {
  const ms = lastModified === null ? NaN : Date.parse(`${lastModified.trim().replace(' ', 'T')}Z`);
  return Number.isFinite(ms) ? ms : -Infinity;
}

// ── First seen ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Saved in queues: never change this key. */
const seenKey = 'segments first seen';
const maxSeen = 2_000;
const seenSchema = z.array(z.tuple([z.string(), z.number()]));

/** Stores the time at which listed segments were first seen, and returns all these times by key. */
async function noteSeen(
  lookedUp: readonly LookedUp[],
  { store, nowMs }: SegmentCheckOptions,
): Promise<ReadonlyMap<string, number>> {
  const text = await store.getMeta(seenKey);
  const seen = new Map(parseSeen(text));
  const fresh = lookedUp.filter(({ wanted, listed }) => listed !== null && !seen.has(wanted.key));
  if (fresh.length === 0) return seen;
  for (const { wanted } of fresh) seen.set(wanted.key, nowMs);
  // The oldest are dropped. If one is seen again later, it has a warm-up only if it was also changed recently.
  await store.setMeta(seenKey, JSON.stringify([...seen].slice(-maxSeen)));
  return seen;
}

/**
 * Segments first seen less than 20 minutes ago by any node of the member, with codes in lower case. Rejects if the
 * queue does.
 */
export async function recentlySeen(
  store: Pick<QueueStore, 'getMeta'>,
  nowMs: number,
): Promise<readonly FixedSegment[]> {
  const seen = parseSeen(await store.getMeta(seenKey));
  return seen.flatMap(([key, firstMs]) => (firstMs + warmUpMs > nowMs ? segmentOfKey(key) : []));
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
