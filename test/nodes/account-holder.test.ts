// Accounts of one member that close and start in any order, in one process: the remaining ones deliver.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Problem } from '../../nodes/account/account-api';
import { Holder, type Hold } from '../../nodes/account/holder';
import { checkEntry } from '../../src/entry/check';
import { Registry, QueueKindsDiffer, type LeaseRequest } from '../../src/delivery/registry';
import type { MemberQueue } from '../../src/delivery/engine';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import type { ServiceClient } from '../../src/service/client';
import type { PostOutcome } from '../../src/service/reply/outcome';
import { FakeClock } from '../delivery/support/fake-clock';
import { Files } from '../delivery/support/files';
import { runs } from '../delivery/support/runs';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';

const accounts = ['a', 'b', 'c'] as const;
const nodesOf = { a: ['a1', 'a2'], b: ['b1', 'b2'], c: ['c1'] } as const;
type Account = (typeof accounts)[number];
/** `elsewhere` is another member; `memory` another kind of queue, which an account of the same member refuses. */
const settings = ['right', 'wrong', 'elsewhere', 'memory', 'disabled'] as const;
type Settings = (typeof settings)[number];

const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };
/** Node-RED waits so long for its nodes to close. */
const closeMs = 15_000;
/** How long an account that went away counts as one that returns. */
const awayMs = 10_000;

/** One entry, a message of its own. */
interface Event {
  readonly user: string;
  readonly node: string;
  /** Which queue it is in. */
  readonly queue: string;
  readonly ends: MessageEnd[];
}

/** An out node that is deployed. */
interface Out {
  readonly account: Account;
  /** What its account told it; null before that. */
  told: MemberQueue | Problem | null;
}

/** One Node-RED with three accounts, on the tests' clock. */
class Place {
  readonly clock = new FakeClock();
  readonly engines = new Registry(this.clock, () => 0.5);
  readonly sent: string[] = [];
  readonly outs = new Map<string, Out>();
  readonly problems: string[] = [];
  hangs = false;
  /** Until an account has opened what it holds. */
  openMs = 0;
  hung = false;
  private readonly events: Event[] = [];
  private readonly files = new Files(this.clock);
  private readonly logs = new Map<string, MemoryLogStore>();
  private readonly holders = new Map<Account, Holder>();
  private readonly hanging: (() => void)[] = [];

  /** `queue` is that of accounts whose settings do not say another. */
  constructor(private readonly queue: 'disk' | 'shared') {
    for (const account of accounts) this.startAccount(account, 'right');
    for (const account of accounts) for (const node of nodesOf[account]) this.startNode(account, node);
  }

  startAccount(account: Account, its: Settings): void {
    if (its === 'disabled') this.holders.delete(account);
    else
      this.holders.set(
        account,
        new Holder(
          (isWanted) => this.open(account, its, isWanted),
          (error) => this.problems.push(String(error)),
          this.clock,
        ),
      );
  }

  private async open(
    account: Account,
    its: Settings,
    isWanted: () => boolean,
  ): Promise<Hold | Problem | null> {
    if (this.openMs > 0)
      await new Promise<void>((resolve) => void this.clock.after(this.openMs, () => resolve()));
    if (!isWanted()) return null;
    if (its === 'wrong') return { key: 'error.wrong' };
    try {
      const lease = this.engines.acquire(this.request(account, its));
      return { lease, end: (maxMs) => lease.release(maxMs) };
    } catch (error) {
      if (!(error instanceof QueueKindsDiffer)) throw error;
      error.whenOver(() => void this.holders.get(account)?.openAgain());
      return { key: String(error) };
    }
  }

  private request(account: Account, its: Settings): LeaseRequest {
    const member = its === 'elsewhere' ? '8' : '7';
    const log = this.logs.get(member) ?? new MemoryLogStore(this.clock);
    this.logs.set(member, log);
    return {
      account,
      accountName: account,
      origin: 'http://there',
      member,
      queue: its === 'memory' ? 'memory' : this.queue,
      limits,
      queueMaxEntries: 1_000_000,
      queueMaxBytes: 1e9,
      login: { method: 'password', username: account, password: 'p' },
      authOrigin: 'http://there',
      connection: 'there',
      connect: () => this.client(),
      openStore: () =>
        its === 'memory' ? new SqliteStore(':memory:', { clock: this.clock }) : this.files.store(member),
      shared: {
        identity: 'there',
        open: () => new MemorySharedLog(log),
        localBuffer: () => this.files.store(`${member} local buffer`),
        instanceName: 'here',
      },
      log: (level, text) => {
        if (level === 'error') this.problems.push(text);
      },
    };
  }

  private client(): ServiceClient {
    const post = async (body: string): Promise<PostOutcome> => {
      if (this.hangs) this.hung = true;
      if (this.hangs) await new Promise<void>((resolve) => this.hanging.push(resolve));
      const { rt_segment: entries } = JSON.parse(body) as { rt_segment: { user_id: string }[] };
      this.sent.push(...entries.map(({ user_id: user }) => user));
      return { kind: 'accepted', warnings: [], counts: { users: null, segments: null } };
    };
    const client = {
      authenticate: () => Promise.resolve({ kind: 'token', token: 't' }),
      post,
      networkFloorMs: () => 0,
      close: () => Promise.resolve(),
    };
    return client as unknown as ServiceClient;
  }

  startNode(account: Account, node: string): void {
    const out: Out = { account, told: null };
    this.outs.set(node, out);
    this.holders.get(account)?.join(node, {
      ready: (engine) => (out.told = engine),
      closes: () => undefined,
      recovered: () => undefined,
    });
  }

  /** Resolves as the node's close does. */
  async closeNode(account: Account, node: string, returns: boolean): Promise<void> {
    if (!this.outs.delete(node)) return;
    await this.holders.get(account)?.leave(node, returns);
  }

  async closeAccount(account: Account): Promise<void> {
    await this.holders.get(account)?.close();
  }

  wake(): void {
    this.hangs = false;
    for (const wake of this.hanging.splice(0)) wake();
  }

  /** A user of its own, from a node that has an engine. */
  event(node: string): Event | null {
    const engine = this.outs.get(node)?.told;
    if (engine === null || engine === undefined || 'key' in engine) return null;
    const user = String(this.events.length + 1);
    const checked = checkEntry({ user_id: user, seg_block: [{ seg_id: 1 }] });
    assert.ok(checked.ok);
    const ends: MessageEnd[] = [];
    engine.submit({
      source: { node, account: this.outs.get(node)!.account },
      entries: [checked.entry],
      indexes: null,
      completeOn: 'accepted',
      onEnd: (end) => ends.push(end),
    });
    const event = { user, node, queue: this.queueOf(engine), ends };
    this.events.push(event);
    return event;
  }

  private queueOf(engine: MemberQueue): string {
    const info = this.engines.list().find((one) => one.engine === engine);
    return `${info?.key} ${info?.queue}`;
  }

  /** Resolves with whether `work` was done within `ms` of the tests' clock. */
  async within(ms: number, work: Promise<unknown>): Promise<boolean> {
    const ended = { yet: false };
    void work.then(() => (ended.yet = true));
    for (let passed = 0; !ended.yet && passed < ms; passed += 100) await this.clock.advance(100);
    return ended.yet;
  }

  /** What a partial deploy does: closes some nodes, waits for them, and starts those that are still in the flow. */
  async deploy({ changed, removed, restarted, order, closesFirst }: Deploy): Promise<void> {
    const closing: (() => Promise<void>)[] = [];
    const restarting: [Account, string][] = [];
    for (const account of accounts) {
      for (const node of nodesOf[account]) {
        const isRemoved = removed.includes(node);
        if (!isRemoved && !restarted.includes(node) && changed[account] === undefined) continue;
        closing.push(() => this.closeNode(account, node, !isRemoved));
        if (!isRemoved) restarting.push([account, node]);
      }
      if (changed[account] !== undefined) closing.push(() => this.closeAccount(account));
    }
    if (order === 'accounts first') closing.reverse();
    const closed = Promise.all(closing.map((close) => close()));
    // Where a node does not close in time, Node-RED goes on without it.
    const inTime = await this.within(closesFirst ? closeMs : 100, closed);
    if (closesFirst && !inTime) this.problems.push('a node did not close in time');
    for (const account of accounts) {
      const its = changed[account];
      if (its !== undefined) this.startAccount(account, its);
    }
    for (const [account, node] of restarting) this.startNode(account, node);
  }

  /** Whoever has an engine delivers by it, an operator can pause and resume it, and the registry has it. */
  async violations(): Promise<string[]> {
    const found = [...this.problems];
    this.wake();
    this.openMs = 0;
    // Whatever hung is over, and accounts that did not come back are forgotten.
    await this.clock.advance(awayMs + 20_000);
    const listed = new Set(this.engines.list().map(({ engine }) => engine));
    const serves7 = this.engines.list().some(({ member }) => member === '7');
    const deployed = [...this.outs].filter(([, { account }]) => this.holders.has(account));
    for (const [node, { told }] of deployed) {
      if (told === null) found.push(`${node} was told nothing`);
      else if (!('key' in told) && !listed.has(told)) found.push(`the engine of ${node} is not listed`);
      else if ('key' in told && told.key.includes('the same member') && !serves7)
        found.push(`${node} disagrees with nobody: ${told.key}`);
    }
    for (const { key, engine, accounts: its } of this.engines.list()) {
      if (its.length === 0) found.push(`the engine ${key} has no account, and was not closed`);
      if (engine.stats().state.kind === 'parked') found.push(`the engine ${key} is parked`);
    }
    await this.clock.advance(2_000);
    found.push(...this.wrongEnds(new Set([...listed].map((engine) => this.queueOf(engine)))));
    found.push(...(await this.undelivered('posted')));
    for (const { engine } of this.engines.list()) engine.pause();
    found.push(
      ...(await this.undelivered('resumed', () => {
        for (const { engine } of this.engines.list()) engine.resume();
      })),
    );
    found.push(
      ...(await this.undelivered('retried', () => {
        for (const { key } of this.engines.list()) this.engines.retry(key);
      })),
    );
    return found;
  }

  /** Each message has one end, entries queued on disk are delivered, and discarded ones are not. */
  private wrongEnds(running: ReadonlySet<string>): string[] {
    return this.events.flatMap(({ user, node, queue, ends }) => {
      const [end] = ends;
      const told = `event ${user} of ${node} ended as ${JSON.stringify(ends)}`;
      if (ends.length !== 1) return [told];
      const isSent = this.sent.includes(user);
      // A hanging request may have been aborted before the service carried it out.
      if (end!.kind === 'failed') return isSent && !this.hung ? [`${told}, and was sent`] : [];
      if (isSent || (end!.kind === 'settled' && end!.rejections.length > 0)) return [];
      return end!.kind === 'settled' || running.has(queue) ? [`${told}, and was not sent`] : [];
    });
  }

  private async undelivered(how: string, act: () => void = () => undefined): Promise<string[]> {
    const events = [...this.outs.keys()].map((node) => ({ node, event: this.event(node) }));
    await this.clock.advance(100);
    act();
    await this.clock.advance(3_000);
    return events.flatMap(({ node, event }) => {
      if (event === null) return [];
      const isRight = event.ends[0]?.kind === 'settled' && this.sent.includes(event.user);
      return isRight ? [] : [`${how}: ${node} ended as ${JSON.stringify(event.ends)}`];
    });
  }
}

interface Deploy {
  /** Accounts that are changed, with what they are then; their nodes restart. */
  readonly changed: Partial<Record<Account, Settings>>;
  readonly removed: readonly string[];
  readonly restarted: readonly string[];
  readonly order: 'nodes first' | 'accounts first';
  /** Whether Node-RED waits for them as it should. */
  readonly closesFirst: boolean;
}

type Step =
  | ({ readonly do: 'deploy' } & Deploy)
  | { readonly do: 'add'; readonly node: string }
  | { readonly do: 'events'; readonly nodes: readonly string[] }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'hang' | 'wake' }
  | { readonly do: 'open slowly'; readonly ms: number };

const allNodes = accounts.flatMap((account) => nodesOf[account]);
const deploy: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('deploy' as const),
  changed: fc
    .array(fc.tuple(fc.constantFrom(...accounts), fc.constantFrom('right' as const, ...settings)), {
      maxLength: 2,
    })
    .map((pairs) => Object.fromEntries(pairs) as Partial<Record<Account, Settings>>),
  removed: fc.subarray(allNodes, { maxLength: 3 }),
  restarted: fc.subarray(allNodes, { maxLength: 3 }),
  order: fc.constantFrom('nodes first' as const, 'accounts first' as const),
  closesFirst: fc.constantFrom(true, true, true, false),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: deploy },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('add' as const), node: fc.constantFrom(...allNodes) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('events' as const), nodes: fc.subarray(allNodes) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(0, 1, 50, 1_000, 5_000, 9_900, 10_100, 21_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('hang' as const, 'wake' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('open slowly' as const),
      ms: fc.constantFrom(0, 1, 200, 3_000),
    }),
  },
);

async function play(place: Place, steps: readonly Step[]): Promise<void> {
  for (const one of steps) {
    switch (one.do) {
      case 'deploy':
        await place.deploy(one);
        break;
      case 'add':
        if (!place.outs.has(one.node)) place.startNode(one.node[0] as Account, one.node);
        break;
      case 'events':
        for (const node of one.nodes) place.event(node);
        await place.clock.settle();
        break;
      case 'wait':
        await place.clock.advance(one.ms);
        break;
      case 'hang':
        place.hangs = true;
        break;
      case 'wake':
        place.wake();
        break;
      case 'open slowly':
        place.openMs = one.ms;
    }
  }
}

for (const queue of ['disk', 'shared'] as const) {
  describe(`accounts of one member (queue ${queue})`, function () {
    this.timeout(0);

    it('deliver at once while another closes: it waits for what is in flight, and stops nobody', async () => {
      const place = new Place(queue);
      await place.clock.advance(2_000);
      place.hangs = true;
      place.event('c1');
      await place.clock.advance(50);
      const closed = place.closeNode('c', 'c1', false);
      place.hangs = false;
      await place.clock.advance(100);
      const event = place.event('a1')!;
      await place.clock.advance(1_000);
      assert.deepEqual([place.sent.includes(event.user), event.ends.length], [true, 1]);
      assert.equal(await place.within(4_500, closed), true);
    });

    it('deliver through those that are left, whatever any number of deploys closes and starts', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
          const place = new Place(queue);
          await place.clock.advance(2_000);
          await play(place, steps);
          assert.deepEqual(await place.violations(), []);
        }),
        runs(150),
      );
    });
  });
}

describe('a node that joins an account whose last node has just left', () => {
  it('is told, also when nothing was opened for those before it', async () => {
    const problem: Problem = { key: 'error.member_missing' };
    let asked = 0;
    const holder = new Holder(
      async (isWanted) => {
        asked += 1;
        await Promise.resolve();
        return isWanted() ? problem : null;
      },
      (error) => assert.fail(String(error)),
      new FakeClock(),
    );
    const told: string[] = [];
    const user = (name: string) => ({
      ready: () => void told.push(name),
      closes: () => undefined,
      recovered: () => undefined,
    });
    holder.join('first', user('first'));
    const left = holder.leave('first', true);
    // What was opened for nobody is known now, and the last node has not finished to leave.
    await Promise.resolve();
    holder.join('second', user('second'));
    await left;
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([told, asked], [['second'], 2]);
  });
});
