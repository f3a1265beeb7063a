// One user with any number of entries, in every form that such a history has, from the outage until all has settled.
import type { Fate } from './fake-service';
import { device, World, type MessageOptions, type Stated, type WorldOptions } from './world';

type Blocks = Stated['blocks'];

/** One form of a history. The service fails while the entries come in, and then works again. */
export interface Form {
  readonly name: string;
  readonly entry: (at: number) => Stated;
  readonly message?: (at: number) => MessageOptions;
  /** All in one message, or their blocks in one entry; else each in a message of its own. */
  readonly allIn?: 'one message' | 'one entry';
  /** It shows only with so many times more entries. */
  readonly times?: number;
  readonly options?: Partial<WorldOptions>;
  /** What the service does to requests meanwhile: refuses them by default. */
  readonly outage?: 'serverError' | 'reset' | 'dropped' | 'well' | 'by turns';
  /** Before the service works again. */
  readonly then?: (world: World) => Promise<void>;
  /** Before the first entry. */
  readonly first?: (world: World) => Promise<void>;
  /** What is wrong in the end, where that is not what is wrong otherwise. */
  readonly check?: (world: World) => readonly string[];
}

const user = device(1);
const stated = (blocks: Blocks): Stated => ({ user, blocks });
const add = (seg_id: number): Blocks[number] => ({ seg_id, value: 1 });
const minutes = 60 * 24 * 30;
const hex = (at: number): string =>
  at.toString(2).padStart(32, '0').replaceAll('0', 'a').replaceAll('1', 'A');

export const forms: readonly Form[] = [
  { name: 'one segment', entry: (at) => stated([{ seg_id: 1, value: at }]) },
  {
    name: 'added and removed by turns',
    entry: (at) => stated([at % 2 === 0 ? add(1) : { seg_id: 1, expiration: -1 }]),
  },
  { name: '100 segments by turns', entry: (at) => stated([add(1 + (at % 100))]) },
  {
    name: 'ids and codes by turns',
    entry: (at) => stated([at % 2 === 0 ? add(1) : { seg_code: 'x', member_id: 7, value: at }]),
  },
  {
    name: 'two blocks, one of which is replaced by the next entry',
    entry: (at) => stated([add(at + 1), add(at + 2)]),
  },
  { name: 'two blocks, one of which is the same in all', entry: (at) => stated([add(1), add(at + 2)]) },
  {
    name: 'two blocks that are replaced one by one',
    entry: (at) => stated([add(1 + (at % 2)), add(3 + (at % 3))]),
  },
  { name: 'as many segments as entries', entry: (at) => stated([add(at + 1)]) },
  {
    name: 'as many segments as entries, added and removed by turns',
    entry: (at) => stated([at % 2 === 0 ? add(at + 1) : { seg_id: at + 1, expiration: -1 }]),
  },
  {
    name: 'as many segments as entries, ids and codes by turns',
    entry: (at) => stated([at % 2 === 0 ? add(at + 1) : { seg_code: `c${at}`, member_id: 7 }]),
  },
  {
    name: 'as many spellings as entries',
    entry: (at) => ({ user: hex(at), domain: null, blocks: [add(1)] }),
  },
  {
    name: 'two accounts by turns',
    entry: (at) => stated([add(1 + (at % 10))]),
    message: (at) => ({ account: at % 2 === 0 ? 'a' : 'b' }),
    options: { accounts: ['a', 'b'] },
  },
  {
    name: 'two accounts, as many segments as entries',
    entry: (at) => stated([add(at + 1)]),
    message: (at) => ({ account: at % 2 === 0 ? 'a' : 'b' }),
    options: { accounts: ['a', 'b'] },
  },
  {
    name: 'expirations, some of which pass meanwhile',
    entry: (at) => ({
      ...stated([{ seg_id: 1 + (at % 50), expiration: at % 3 === 0 ? 1 : minutes }]),
      agoMs: at % 120_000,
    }),
  },
  {
    name: 'requests on their way all the time',
    entry: (at) => stated([add(1 + (at % 3))]),
    outage: 'reset',
  },
  {
    name: 'requests without a reply',
    entry: (at) => stated([add(1 + (at % 3))]),
    outage: 'dropped',
  },
  {
    name: 'messages that are complete once queued',
    entry: (at) => stated([add(1 + (at % 2))]),
    message: () => ({ completeOn: 'queued' }),
  },
  { name: 'one message', entry: (at) => stated([add(1 + (at % 5))]), allIn: 'one message' },
  {
    name: 'all on disk before a restart, added and removed by turns',
    entry: (at) => stated([at % 2 === 0 ? add(1 + (at % 7)) : { seg_id: 1 + (at % 5), expiration: -1 }]),
    options: { memoryMark: 100, pageRows: 100 },
    then: async (world) => {
      await world.clock.settle();
      world.kill();
      await world.clock.advance(5_000);
    },
  },
  {
    name: 'purged',
    entry: (at) => stated([add(1 + (at % 100))]),
    then: async (world) => {
      void world.purge();
      await world.clock.advance(2_000);
    },
  },
  {
    name: 'erased',
    entry: (at) => stated([add(1 + (at % 100))]),
    then: async (world) => {
      void world.erase(user, 'idfa');
      await world.clock.advance(2_000);
    },
  },
  {
    name: 'for a segment that is young',
    entry: (at) => stated([{ seg_id: 1 + (at % 2), value: at }]),
    outage: 'well',
    first: (world) => {
      const untilMs = world.clock.wallMs() + 30_000;
      world.engine.holdSegments('n', new Map([1, 2].map((id) => [`i${id}`, untilMs])));
      return Promise.resolve();
    },
  },
  {
    name: 'refused one by one',
    entry: (at) => stated([add(at + 1)]),
    options: { poison: (id) => id === user },
    first: sendOthers,
  },
  {
    name: 'while one of its blocks is searched for',
    entry: (at) => stated([{ seg_id: 1 + (at % 40), value: at }]),
    outage: 'well',
    options: { poison: (id, { seg_id }) => id === user && seg_id === 13 },
    first: sendOthers,
  },
  {
    name: 'refused by a warning',
    entry: (at) => stated([add(1 + (at % 300))]),
    options: {
      warn: (entries) =>
        entries.map((entity) => ({ message: `No valid segments for user_id: ${user}.`, entity })),
    },
    // This service applies what it warns of.
    check: (world) => world.miscounts(),
  },
  {
    name: 'warned of, in one entry',
    entry: (at) => stated([add(at + 1)]),
    allIn: 'one entry',
    options: {
      warn: (entries) => entries.map((entity) => ({ message: `Something about ${user}.`, entity })),
    },
  },
  {
    name: 'requests accepted and lost by turns',
    entry: (at) => stated([{ seg_id: 1 + (at % 3), value: at }]),
    outage: 'by turns',
  },
  {
    name: 'behind one that no account sends',
    entry: (at) => stated([{ seg_id: 1 + (at % 3), value: at }]),
    outage: 'well',
    options: { accounts: ['a', 'b'] },
    first: async (world) => {
      world.service.refusedLogins.add('b');
      world.add(user, [add(9)], { account: 'b' });
      await world.clock.advance(2_000);
    },
    then: async (world) => {
      world.service.refusedLogins.clear();
      world.keepers.delete('b');
      world.attach('b');
      await world.clock.advance(2_000);
    },
  },
  {
    name: 'removals far ahead of the adds',
    times: 4,
    entry: (at) => stated([{ seg_id: 1 + (at % 3), ...(at % 2 === 0 ? { value: at } : { expiration: -1 }) }]),
    outage: 'well',
    options: {
      memoryMark: 50,
      pageRows: 50,
      limits: { postsPerSecond: 10, usersPerSecond: 20, maxConcurrent: 2 },
    },
    first: (world) => {
      for (let other = 0; other < 500; other += 1) world.add(device(1000 + other), [add(1)]);
      return Promise.resolve();
    },
  },
  {
    name: 'while nothing can be written',
    entry: (at) => stated([{ seg_id: 1 + (at % 3), value: at }]),
    then: async (world) => {
      world.diskFails = true;
      for (let at = 0; at < 200; at += 1) {
        world.add(user, [add(1 + (at % 3))]);
        await world.clock.advance(10);
      }
      world.diskFails = false;
      await world.clock.advance(2_000);
    },
  },
  {
    name: 'in memory, until its node closes',
    entry: (at) => stated([add(1 + (at % 100))]),
    options: { durable: false, maxOpenMessages: Infinity },
    then: async (world) => {
      world.engine.release('n');
      await world.clock.advance(2_000);
    },
    check: ({ messages, engine, complaints }) => [
      ...complaints,
      ...messages.flatMap(({ end }) =>
        end?.kind === 'failed' && end.code === 'closed' ? [] : ['not closed'],
      ),
      ...(engine.counters.rejected === messages.length ? [] : ['not rejected']),
    ],
  },
  {
    name: 'after a purge',
    entry: (at) => stated([add(1 + (at % 100))]),
    first: async (world) => {
      world.add(user, [add(1)]);
      void world.purge();
      await world.clock.advance(2_000);
    },
  },
];

/** So that what is refused later is not taken for a service that refuses everything. */
async function sendOthers(world: World): Promise<void> {
  for (let other = 0; other < 10; other += 1) world.add(device(100 + other), [add(1)]);
  await world.clock.advance(1_000);
}

/** Plays a form with so many entries until all of them have ended. */
export async function play(form: Form, count: number, options: Partial<WorldOptions> = {}): Promise<World> {
  let fails = true;
  let posts = 0;
  const world = new World({
    seed: 1,
    ...form.options,
    ...options,
    fateOf: () => (fails ? fateIn(form, (posts += 1)) : 'well'),
  });
  await world.clock.advance(2_000);
  await form.first?.(world);
  const messages = messagesOf(form, count);
  for (const [at, entries] of messages.entries()) {
    world.submit(entries, form.message?.(at));
    // Ten seconds in all, whatever the number.
    if (at % Math.ceil(messages.length / 100) === 0) await world.clock.advance(100);
  }
  await world.clock.advance(1_000);
  await form.then?.(world);
  fails = false;
  await drain(world);
  return world;
}

function messagesOf({ entry, allIn }: Form, count: number): readonly (readonly Stated[])[] {
  const entries = Array.from({ length: count }, (_, at) => entry(at));
  if (allIn === 'one message') return [entries];
  if (allIn === 'one entry') return [[stated(entries.flatMap(({ blocks }) => blocks))]];
  return entries.map((each) => [each]);
}

function fateIn({ outage = 'serverError' }: Form, posts: number): Fate {
  if (outage !== 'by turns') return outage;
  return posts % 2 === 0 ? 'well' : 'reset';
}

async function drain(world: World): Promise<void> {
  const counters = () => world.engine.counters;
  while (counters().waiting > 0) await world.clock.advance(10_000);
  await world.rest(60_000);
}
