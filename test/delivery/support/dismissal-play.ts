// Scripts of what a flow and its operator do while entries are given up, how they are played in a world, and what must
// hold of what was sent then.
import fc from 'fast-check';
import { hashUserKey, userKeyOf } from '../../../src/audience/keys';
import type { Dismissed } from '../../../src/delivery/dismissals';
import type { Block, Fate } from './fake-service';
import { device, World, type WorldOptions } from './world';

const users = [0, 1, 2].map(device);

export interface Added {
  readonly user: number;
  readonly blocks: readonly Block[];
}
export type Step =
  | {
      readonly kind: 'add';
      readonly entries: readonly Added[];
      readonly completeOn: 'accepted' | 'queued';
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'pause'; readonly ms: number }
  | { readonly kind: 'diskFull'; readonly ms: number }
  | { readonly kind: 'kill' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'purge' }
  | { readonly kind: 'erase'; readonly user: number };

const block: fc.Arbitrary<Block> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ seg_id: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ seg_code: fc.constantFrom('x', 'y'), member_id: fc.constant(7) }) },
);
const blocks = fc.array(
  fc.tuple(block, fc.constantFrom(-1, -1, 0, undefined, 600)).map(([who, expiration]) => ({
    ...who,
    ...(expiration !== undefined && { expiration }),
  })),
  { minLength: 1, maxLength: 3 },
);
const added = fc.record({ user: fc.integer({ min: 0, max: 2 }), blocks });
const common: fc.WeightedArbitrary<Step>[] = [
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      entries: fc.array(added, { minLength: 1, maxLength: 3 }),
      completeOn: fc.constantFrom('accepted' as const, 'accepted' as const, 'queued' as const),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 200 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 30_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.nat({ max: 2000 }) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'flush' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'purge' }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('erase' as const), user: fc.nat({ max: 2 }) }) },
];
export const step = fc.oneof(...common);
export const withKills = fc.oneof(...common, { weight: 1, arbitrary: fc.constant<Step>({ kind: 'kill' }) });
export const withFullDisk = fc.oneof(...common, {
  weight: 1,
  arbitrary: fc.record({ kind: fc.constant('diskFull' as const), ms: fc.nat({ max: 3000 }) }),
});

export const faults: Partial<Record<Fate, number>> = {
  dropped: 0.08,
  replyLost: 0.08,
  late: 0.12,
  reset: 0.08,
  rateLimited: 0.04,
  serverError: 0.08,
  deadToken: 0.02,
  garbage: 0.03,
};

/** A run: gives every block a value of its own, by which it is known again on the wire. */
export class Play {
  readonly world: World;
  private value = 0;
  /** By value: from when on (ms) it must not leave any more. */
  private readonly givenUpAtMs = new Map<number, number>();
  /** Values by user, of what was handed in. */
  private readonly handedIn: { user: number; value: number; message: number; index: number }[] = [];
  private readonly pending: Promise<Dismissed | null>[] = [];
  /** By user: the last value before an erasure that was said to be done. */
  private readonly erasedThrough = new Map<number, number>();

  constructor(options: WorldOptions) {
    this.world = new World(options);
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const each of steps) await this.step(each);
    this.world.diskFails = false;
  }

  private async step(each: Step): Promise<void> {
    const { world } = this;
    switch (each.kind) {
      case 'add':
        this.add(each);
        return;
      case 'wait':
        return world.clock.advance(each.ms);
      case 'pause':
        world.engine.pause();
        await world.clock.advance(each.ms);
        world.engine.resume();
        return;
      case 'diskFull':
        world.diskFails = true;
        await world.clock.advance(each.ms);
        world.diskFails = false;
        return;
      case 'kill':
        world.kill();
        return;
      case 'flush':
        world.engine.flush();
        return;
      case 'purge':
        this.giveUp(world.purge(), () => true);
        return;
      case 'erase': {
        const { user } = each;
        const through = this.value;
        const erased = world.erase(users[user]!, 'idfa').then((dismissed) => {
          this.erasedThrough.set(user, through);
          return dismissed;
        });
        this.giveUp(erased, (one) => one.user === user);
      }
    }
  }

  private add({ entries, completeOn }: Extract<Step, { kind: 'add' }>): void {
    const message = this.world.messages.length;
    const stated = entries.map(({ user, blocks: its }, index) => ({
      user: users[user]!,
      blocks: its.map((one) => {
        this.value += 1;
        this.handedIn.push({ user, value: this.value, message, index });
        return { ...one, value: this.value };
      }),
    }));
    this.world.submit(stated, { completeOn });
  }

  private giveUp(done: Promise<Dismissed>, which: (one: { user: number }) => boolean): void {
    const { world } = this;
    const values = this.handedIn.filter(which).map(({ value }) => value);
    const told = (dismissed: Dismissed): Dismissed => {
      for (const value of values)
        if (!this.givenUpAtMs.has(value)) this.givenUpAtMs.set(value, world.clock.monoMs());
      return dismissed;
    };
    this.pending.push(done.then(told, () => null));
  }

  /** Values of entries that ended as given up, by the messages' own word, with when they were told. */
  private givenUpByWord(): Map<number, number> {
    const told = new Map<number, number>();
    this.world.messages.forEach(({ end, endMs }, message) => {
      if (end?.kind !== 'settled') return;
      for (const { index, code } of end.rejections) {
        if (code !== 'purged' && code !== 'erased') continue;
        for (const one of this.handedIn)
          if (one.message === message && one.index === index) told.set(one.value, endMs);
      }
    });
    return told;
  }

  /** When the post was made up that left at `sentMs`: a user has one at a time. */
  private madeUpMs(userId: string, sentMs: number): number {
    const hash = hashUserKey(userKeyOf('idfa', userId).userKey);
    const last = this.world.departures.findLast(
      ({ atMs, userHashes }) => atMs <= sentMs && userHashes.includes(hash),
    );
    return last?.atMs ?? sentMs;
  }

  /** What left although it had been given up, and was not on its way then: from when its post is made up it counts as that. */
  sentAfterwards(): string[] {
    const found: string[] = [];
    const told = this.givenUpByWord();
    const sent = this.world.service.requests.flatMap(({ applied, sentMs, entries }) =>
      entries.flatMap(({ user_id: user, seg_block: its }) =>
        its.map(({ value }) => ({ applied, sentMs, madeUpMs: this.madeUpMs(user, sentMs), value: value! })),
      ),
    );
    /**
     * By value: when the first post was made up that was applied. What was accepted may be repeated; after a crash so may
     * an entry that was sent in part, as a whole, since the log keeps entries and not blocks.
     */
    const appliedMs = new Map<number, number>();
    const entryOf = new Map(this.handedIn.map((one) => [one.value, `${one.message} ${one.index}`]));
    for (const { applied, madeUpMs, value } of sent) {
      if (!applied) continue;
      const whole = this.handedIn.filter(
        (one) => this.world.life > 1 && entryOf.get(one.value) === entryOf.get(value),
      );
      for (const one of [value, ...whole.map((other) => other.value)])
        appliedMs.set(one, Math.min(madeUpMs, appliedMs.get(one) ?? Infinity));
    }
    for (const { sentMs, madeUpMs, value } of sent) {
      for (const given of [told, this.givenUpAtMs]) {
        // What had ended without its message may be repeated after a crash, and nobody says which that was.
        if (given === this.givenUpAtMs && this.world.life > 1) continue;
        const goneMs = given.get(value) ?? Infinity;
        const repeated = (appliedMs.get(value) ?? Infinity) <= goneMs;
        if (madeUpMs > goneMs && !repeated)
          found.push(`${value} left at ${sentMs}, was given up at ${goneMs}`);
      }
    }
    return found;
  }

  /** Rows of erased users that nobody has handed in anything for since. */
  async traces(): Promise<string[]> {
    const found: string[] = [];
    const { store, engine } = this.world;
    for (const [user, id] of users.entries()) {
      const last = this.handedIn.findLast((one) => one.user === user)?.value ?? 0;
      if ((this.erasedThrough.get(user) ?? -1) < last) continue;
      const hash = hashUserKey(userKeyOf('idfa', id).userKey);
      const { rows } = await store.rowsOfUsers([hash], 0, Infinity);
      for (const { seq, state } of rows) found.push(`row ${seq} (${state}) of user ${user}`);
      const kept = JSON.stringify(engine.monitor.rejections.last());
      if (kept.includes(id)) found.push(`rejected entries of user ${user}`);
    }
    const marks = (await store.getMeta('erasures')) ?? '[]';
    if (marks !== '[]') found.push(`erasures under way: ${marks}`);
    return found;
  }

  /** Every order was carried out, but for those of a process that died. */
  async settle(): Promise<void> {
    if (this.world.life === 1) await Promise.all(this.pending);
  }
}
