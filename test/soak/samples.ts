// What a soaked Node-RED looks like from outside, every few seconds, and what is read off many such looks.
import { readFile, readdir } from 'node:fs/promises';
import type { AudienceSite } from '../support/audience-site';

const ends = ['accepted', 'superseded', 'expired', 'rejected'] as const;
type Ended = Readonly<Record<(typeof ends)[number], number>>;

/** What Node-RED's own metrics say, at one moment. */
export interface Counters {
  readonly taken: number;
  readonly waiting: number;
  readonly ended: Ended;
  readonly usersPerSecond: number;
}

export interface Sample {
  readonly atMs: number;
  /** Which process: 1 is the first, each kill or stop begins the next. */
  readonly life: number;
  /** What was being done to it; empty when nothing. */
  readonly trouble: string;
  readonly rssMb: number;
  /** Open files and sockets, as the system counts them. */
  readonly handles: number;
  /** After a full collection, which is done once a minute; null in between. */
  readonly heapMb: number | null;
  /** Timers, sockets and the like that Node.js counts as active; null when it did not say. */
  readonly resources: number | null;
  /** Null when it does not answer. */
  readonly counters: Counters | null;
}

const answerMs = 2_000;
const bytesPerMb = 1_048_576;
/** Pages of memory as Linux counts them. */
const pageBytes = 4_096;

/** Null when the process is just not there. */
export async function look(
  site: AudienceSite,
  memoryFile: string,
  seen: Seen,
): Promise<Omit<Sample, 'atMs' | 'life' | 'trouble'> | null> {
  try {
    const { pid, url } = site.running;
    const [statm, open, memory, counters] = await Promise.all([
      readFile(`/proc/${pid}/statm`, 'utf8'),
      readdir(`/proc/${pid}/fd`),
      readMemory(memoryFile, seen),
      readCounters(url),
    ]);
    return {
      rssMb: (Number(statm.split(' ')[1]) * pageBytes) / bytesPerMb,
      handles: open.length,
      heapMb: memory?.heapMb ?? null,
      resources: memory?.resources ?? null,
      counters,
    };
  } catch {
    return null;
  }
}

/** What memory.mjs writes. */
interface Memory {
  readonly atMs: number;
  readonly collected: { readonly atMs: number; readonly heapMb: number } | null;
  readonly resources: number;
}

/** When the last of each was seen. */
export interface Seen {
  writtenMs: number;
  collectedMs: number;
}

/** Null when nothing new was written. */
async function readMemory(
  file: string,
  seen: Seen,
): Promise<{ readonly resources: number; readonly heapMb: number | null } | null> {
  try {
    const { atMs, collected, resources } = JSON.parse(await readFile(file, 'utf8')) as Memory;
    if (atMs <= seen.writtenMs) return null;
    seen.writtenMs = atMs;
    const isNew = collected !== null && collected.atMs > seen.collectedMs;
    if (isNew) seen.collectedMs = collected.atMs;
    return { resources, heapMb: isNew ? collected.heapMb : null };
  } catch {
    return null;
  }
}

export async function readCounters(url: string): Promise<Counters | null> {
  try {
    const where = new URL('instant-audience/metrics', url);
    const response = await fetch(where, { signal: AbortSignal.timeout(answerMs) });
    const text = await response.text();
    const figure = (name: string, labels = ''): number => {
      const found = new RegExp(`^instant_audience_${name}\\{[^}]*${labels}[^}]*\\} (\\S+)$`, 'm').exec(text);
      if (found === null) throw new Error(`no ${name}`);
      return Number(found[1]);
    };
    return {
      taken: figure('entries_taken_total'),
      waiting: figure('queue_entries'),
      ended: Object.fromEntries(
        ends.map((end) => [end, figure('entries_ended_total', `end="${end}"`)]),
      ) as unknown as Ended,
      usersPerSecond: figure('users_per_second'),
    };
  } catch {
    return null;
  }
}

/** What was taken has ended or waits; 0 when the counters add up. */
export function missing({ taken, waiting, ended }: Counters): number {
  return taken - waiting - ends.reduce((sum, end) => sum + ended[end], 0);
}

/** How a figure ran over time. */
export interface Run {
  readonly least: number;
  readonly most: number;
  /** Medians of the first and the last third. */
  readonly before: number;
  readonly after: number;
}

/** Null for fewer than nine points: three a third. */
export function runOf(values: readonly number[]): Run | null {
  if (values.length < 9) return null;
  const third = Math.floor(values.length / 3);
  return {
    least: Math.min(...values),
    most: Math.max(...values),
    before: median(values.slice(0, third)),
    after: median(values.slice(-third)),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
