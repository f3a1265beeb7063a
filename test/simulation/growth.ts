// Work and memory are bounded: what one entry costs does not grow with how many there are of its user.
//
// The same play is run with ever more entries, and the work is counted: how often each block of the package's code was
// carried out, as V8 counts it. Twice the entries may cost twice the work, not four times. V8 counts only in code that it
// compiled after it was asked to, and all calls only in code that it has not optimised, so this runs in a process of its
// own: see growth-process.ts.
//
// Memory is what can be reached from the engines: fields, elements and texts, which are the same in every run. While the
// service is away all entries are pending; when everything has settled, nothing of them is kept.
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
/** Work of the second step over that of the first, which has half as many entries: 2 is linear, 4 is quadratic. */
const mostGrowth = 2.2;
/** Beyond those of half the entries, once all have ended. */
const mostKeptPlaces = 300;
/**
 * Where each entry that ended leaves something for an operator: a rejection is the largest, with nine fields and about 300 characters, for
 * the 300 entries that the third size has more. They are bounded themselves (`Rejections`).
 */
const mostKeptMore = mostKeptPlaces + 300 * 50;
const counted = ['delivery', 'queue', 'entry'].map((room) => path.join('src', room) + path.sep);

/** Such seeds run this in place of a plan. */
export function isGrowthSeed(seed: number): boolean {
  return seed % 50 === 0;
}

export interface Growth {
  readonly form: string;
  readonly growth: number;
  /** As `growth`, of the places in memory while all is pending; 0 where nothing was. */
  readonly pendingGrowth: number;
  /** By how many places more is kept of twice the entries once all have ended. */
  readonly kept: number;
  readonly mostKept: number;
  /** What else was wrong, with most entries. */
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
  // What the code remembers beyond a run, it remembers from then on: so a seed costs the same whatever ran before.
  const violations = violationsOf(worldOf(sizes[2] * times).play());
  const pending: number[] = [];
  const rest: number[] = [];
  const work = sizes.map((entries) => {
    const world = worldOf(entries * times);
    const [instance] = world.instances as [Instance];
    world.time.after(pendingAtMs, () => pending.push(placesIn(instance.engines)));
    const count = workOf(session, () => void world.play());
    rest.push(placesIn(instance.engines));
    events += world.time.events;
    log.push(...world.history.log);
    return count;
  });
  return {
    form: `${form.name}, ${queue}${form.actions === undefined && isOutage ? ', after an outage' : ''}`,
    growth: growthOver(work),
    pendingGrowth: isOutage && form.actions === undefined ? growthOver(pending) : 0,
    kept: rest[2]! - rest[1]!,
    mostKept: form.leavesMore === true ? mostKeptMore : mostKeptPlaces,
    violations,
    log,
    events,
  };
}

/**
 * Of three sizes, each twice the one before: 2 is linear. The second step over the first; or, where the first step was
 * cheap by chance, half of how the whole grew over both.
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

/** What the tests play, and stores, which have bounds of their own. */
const outside = [ProcessTime, SimClient, Disk, Database, MemoryLogStore, SqliteStore];

/** What can be reached from here: fields, elements and texts. */
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

/** As many messages whatever the number of entries, since what has ended of messages is kept up to a bound. */
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

/** Since it was asked last. */
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
