// Growth: work and memory are bounded; the cost of an entry does not grow with the number of entries of its
// user.
//
// The same play runs with more and more entries, and work is counted: how often V8 executed each block of the
// package's code. Twice the entries may cost twice the work, not four times. V8 only counts in code that it
// compiled after counting began, and counts all calls only in unoptimised code, so this runs in a process of
// its own: see growth-process.ts.
//
// Memory is everything reachable from the engines: fields, elements and texts, which are the same in every run.
// While the service is away all entries are pending; when everything has settled, none of them stays in memory.
import type { Session } from 'node:inspector';
import path from 'node:path';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { MemoryLogStore } from '../queue/memory-shared-log';
import { SimClient } from './world/client';
import { Database } from './world/database';
import { Dice } from './world/dice';
import { Disk } from './world/disk';
import type { Instance } from './world/instance';
import { actionsOf, forms, hotUser, pendingAtMs, type Form } from './growth-forms';
import { violationsOf, type Violation } from './model/model';
import type { Action, Entry, Plan, QueueKind } from './world/plan';
import { ProcessTime } from './world/process-time';
import { World } from './world/world';

const sizes = [150, 300, 600] as const;
/**
 * Work of the second step divided by that of the first, which has half as many entries: 2 is linear, 4 is
 * quadratic.
 */
const mostGrowth = 2.2;
/** Places in memory beyond those of half the entries, once all have ended. */
const mostKeptPlaces = 300;
/**
 * The same where each ended entry leaves something for an operator: a rejection is the largest, with nine
 * fields and about 300 characters, for the 300 additional entries of the third size. Rejections have a limit of
 * their own (`Rejections`).
 */
const mostKeptMore = mostKeptPlaces + 300 * 50;
const counted = ['delivery', 'queue', 'entry'].map((room) => path.join('src', room) + path.sep);

/** These seeds run growth instead of a plan. */
export function isGrowthSeed(seed: number): boolean {
  return seed % 50 === 0;
}

export interface Growth {
  readonly form: string;
  readonly growth: number;
  /** The same for the places in memory while all entries are pending; 0 without any. */
  readonly pendingGrowth: number;
  /** Additional places in memory with twice the entries, once all have ended; 0 if some have not when the play ends. */
  readonly kept: number;
  readonly mostKept: number;
  /** Other violations, with the most entries. */
  readonly violations: readonly Violation[];
  readonly log: readonly string[];
  readonly events: number;
}

/** `session`: of a profiler that counts since before this code was loaded. */
export function measureGrowth(seed: number, session: Session): Growth {
  const dice = new Dice(`growth ${seed}`);
  const form = forms[(seed / 50) % forms.length]!;
  const isOutage = dice.chance(0.7);
  const anyQueue = dice.pick(['memory', 'disk', 'shared'] as const);
  const { queue = anyQueue, times = 1 } = form;
  const log: string[] = [];
  let events = 0;
  const worldOf = (entries: number): World => new World(hotPlan(seed, form, entries, queue, isOutage));
  // Fills caches that outlive a run, so that a seed costs the same whatever ran before.
  const violations = violationsOf(worldOf(sizes[2] * times).play());
  const pending: number[] = [];
  const rest: number[] = [];
  const restedMs: number[] = [];
  const work = sizes.map((entries) => {
    const world = worldOf(entries * times);
    const [instance] = world.instances as [Instance];
    world.time.after(pendingAtMs, () => pending.push(placesIn(instance.engines)));
    const count = workOf(session, () => {
      restedMs.push(world.play().restedMs);
    });
    rest.push(placesIn(instance.engines));
    events += world.time.events;
    log.push(...world.history.log);
    return count;
  });
  return {
    form: `${form.name}, ${queue}${form.actions === undefined && isOutage ? ', after an outage' : ''}`,
    growth: growthOver(work),
    pendingGrowth: isOutage && form.actions === undefined ? growthOver(pending) : 0,
    kept: restedMs.includes(Infinity) ? 0 : rest[2]! - rest[1]!,
    mostKept: form.leavesMore === true ? mostKeptMore : mostKeptPlaces,
    violations,
    log,
    events,
  };
}

/**
 * Growth over three sizes, each twice the previous: 2 is linear. The second step divided by the first, or half
 * of the growth over both where the first step was cheap by chance.
 */
function growthOver([first, second, third]: readonly number[]): number {
  return Math.min((third! - second!) / (second! - first!), third! / first! / 2);
}

export function growthViolations({
  form,
  growth,
  pendingGrowth,
  kept,
  mostKept,
  violations,
}: Growth): Violation[] {
  const texts = [
    ...(growth > mostGrowth ? [`cost ${growth.toFixed(2)} times the work`] : []),
    ...(pendingGrowth > mostGrowth ? [`take ${pendingGrowth.toFixed(2)} times the memory`] : []),
    ...(kept > mostKept ? [`leave ${kept} more places in memory once they have ended`] : []),
  ];
  const found = texts.map((text) => ({
    promise: 'bounded work',
    text: `twice the entries of a hot user (${form}) ${text}`,
  }));
  return [...found, ...violations];
}

/** The tests' own classes, and stores, which have limits of their own. */
const outside = [ProcessTime, SimClient, Disk, Database, MemoryLogStore, SqliteStore];

/** Number of places reachable from here: fields, elements and texts. */
function placesIn(root: object): number {
  const seen = new Set<unknown>();
  const waiting: unknown[] = [root];
  let places = 0;
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next === 'string') places += next.length / 8;
    if (typeof next !== 'object' || next === null || seen.has(next)) continue;
    if (outside.some((part) => next instanceof part)) continue;
    seen.add(next);
    for (const value of valuesOf(next)) {
      places += 1;
      waiting.push(value);
    }
  }
  return Math.round(places);
}

function* valuesOf(thing: object): Iterable<unknown> {
  if (thing instanceof Map) for (const pair of thing) yield* pair;
  else if (thing instanceof Set || Array.isArray(thing)) yield* thing;
  else if (!ArrayBuffer.isView(thing)) yield* Object.values(thing);
}

function hotPlan(seed: number, form: Form, entries: number, queue: QueueKind, isOutage: boolean): Plan {
  const limits = { postsPerSecond: 100, usersPerSecond: 1_000, maxConcurrent: 15 };
  const messages = messagesOf(form, entries).map(({ node, entries: its }, at): Action => ({
    kind: 'message',
    atMs: 1_500 + 200 * at,
    instance: 0,
    node,
    entries: its,
  }));
  return {
    seed,
    shape: 'growth',
    setup: {
      instances: 1,
      members: [{ id: 1, queue, limits }],
      accounts: [{ id: 'a', member: 1, username: 'login', connection: 'c' }],
      nodes: [{ id: 'n', account: 'a', completeOn: 'accepted' }],
      memoryMark: 10_000,
      pageRows: 2_000,
      queueMaxEntries: 1_000_000,
      maxOpenMessages: 50_000,
      latencyMs: 1,
      jitterMs: 1,
      diskMs: 0,
      databaseMs: 1,
      skewMs: [0],
      sqlite: false,
      ...form.setup,
    },
    actions: [...actionsOf(form, isOutage), ...messages].toSorted((a, b) => a.atMs - b.atMs),
    healMs: 8_000,
  };
}

/** The same number of messages whatever the number of entries, since ended messages are kept up to a limit. */
function messagesOf(form: Form, count: number): { node: string; entries: Entry[] }[] {
  const entries = Array.from({ length: count }, (_, at) => entryOf(form, at));
  const { node = () => 'n', allIn } = form;
  if (allIn === 'one entry')
    return [{ node: 'n', entries: [{ ...entries[0]!, blocks: entries.flatMap(({ blocks }) => blocks) }] }];
  const size = allIn === 'one message' ? count : count / 10;
  return Array.from({ length: count / size }, (_, at) => ({
    node: node(at),
    entries: entries.slice(at * size, (at + 1) * size),
  }));
}

function entryOf({ blocks, user = () => hotUser }: Form, at: number): Entry {
  const named = blocks(at);
  return {
    user: user(at),
    domain: null,
    agoMs: 0,
    blocks: named.map((block, index) => ({ ...block, value: at * named.length + index + 1 })),
  };
}

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

function workOf(session: Session, play: () => void): number {
  takeCount(session);
  play();
  return takeCount(session);
}

/** Count since the last call. */
function takeCount(session: Session): number {
  let count = 0;
  session.post('Profiler.takePreciseCoverage', (error, taken) => {
    if (error !== null) throw new Error(String(error));
    for (const { url, functions } of (taken as unknown as Coverage).result)
      if (counted.some((room) => url.includes(room)))
        for (const { ranges } of functions) for (const range of ranges) count += range.count;
  });
  return count;
}
