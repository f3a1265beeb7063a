// Instances of a shared queue with several accounts: a login that is refused holds back its own account's entries only.
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../src/audience/check';
import { Engines, type Lease } from '../../src/delivery/engines';
import { MemoryOutbox } from '../../src/outbox/memory-outbox';
import type { ServiceClient } from '../../src/service/client';
import type { Login } from '../../src/service/login';
import type { AuthOutcome, PostOutcome } from '../../src/service/outcome';
import { MemoryLogStore, MemorySharedLog } from '../outbox/memory-shared-log';
import { FakeClock } from './support/fake-clock';

const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };

class Instances {
  readonly clock = new FakeClock();
  readonly sent = new Set<string>();
  private readonly store = new MemoryLogStore(this.clock);
  private users = 0;

  /** An instance with these accounts. */
  start(name: string, accounts: readonly string[], isRefused: (account: string) => boolean): Lease[] {
    const engines = new Engines(this.clock, () => 0.5);
    return accounts.map((account) =>
      engines.acquire({
        account,
        accountName: account,
        origin: 'http://there',
        member: '7',
        queue: 'shared',
        limits,
        queueMaxEntries: 1000,
        queueMaxBytes: 1_000_000,
        login: { method: 'password', username: account, password: 'p' },
        authOrigin: 'http://there',
        connection: 'there',
        connect: () => this.client(isRefused),
        openOutbox: () => new MemoryOutbox(),
        shared: {
          identity: 'there',
          open: () => new MemorySharedLog(this.store),
          spool: () => new MemoryOutbox(),
          instanceName: name,
        },
        log: () => undefined,
      }),
    );
  }

  private client(isRefused: (account: string) => boolean): ServiceClient {
    const refusal: AuthOutcome = { kind: 'loginRefused', code: 'NOAUTH', message: 'The login was refused.' };
    const client = {
      authenticate: ({ username }: Login): Promise<AuthOutcome> =>
        Promise.resolve(isRefused(username) ? refusal : { kind: 'token', token: username }),
      post: (body: string): Promise<PostOutcome> => {
        const { rt_segment: entries } = JSON.parse(body) as { rt_segment: { user_id: string }[] };
        for (const { user_id: user } of entries) this.sent.add(user);
        return Promise.resolve({ kind: 'accepted', warnings: [], counts: { users: null, segments: null } });
      },
      networkFloorMs: () => 0,
      close: () => Promise.resolve(),
    };
    return client as unknown as ServiceClient;
  }

  /** A user of its own. */
  event({ engine }: Lease, account: string): string {
    this.users += 1;
    const user = String(this.users);
    const checked = checkEntry({ user_id: user, seg_block: [{ seg_id: 1 }] });
    assert.ok(checked.ok);
    engine.submit({
      source: { node: 'node', account },
      entries: [checked.entry],
      indexes: null,
      completeOn: 'queued',
      onEnd: () => undefined,
    });
    return user;
  }
}

describe('instances of a shared queue', () => {
  it('go on with the entries of one account while the login of another is refused everywhere', async () => {
    const instances = new Instances();
    const { clock, sent } = instances;
    const isRefused = (account: string): boolean => account === 'a';
    const leases = ['one', 'two'].map((name) => instances.start(name, ['a', 'b'], isRefused));
    await clock.advance(3_000);
    for (const [a] of leases) instances.event(a!, 'a');
    for (let second = 0; second < 300; second += 5) {
      const users = leases.map(([, b]) => instances.event(b!, 'b'));
      await clock.advance(5_000);
      assert.deepEqual(
        users.filter((user) => !sent.has(user)),
        [],
        `after ${second} s`,
      );
    }
    assert.equal(sent.size, 120);
  });

  it('send by another instance when none of the logins here works', async () => {
    const instances = new Instances();
    const { clock, sent } = instances;
    const [[a, b]] = [instances.start('one', ['a', 'b'], () => true)];
    await clock.advance(3_000);
    instances.start('two', ['a', 'b'], () => false);
    instances.event(a!, 'a');
    instances.event(b!, 'b');
    await clock.advance(20_000);
    assert.equal(sent.size, 2);
  });
});
