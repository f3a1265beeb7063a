// Ten logins of a user name in five minutes, counted at the service: across accounts with different
// connections, members, instances of a shared queue, forms, and processes that are killed.
import { strict as assert } from 'node:assert';
import { Registry, type Lease, type LeaseRequest } from '../../src/delivery/registry';
import type { ServiceClient } from '../../src/service/client';
import type { AuthOutcome } from '../../src/service/reply/outcome';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';
import { ProcessTime } from '../simulation/world/process-time';
import { FakeClock } from './support/fake-clock';
import { Files } from './support/files';

const fiveMinutesMs = 300_000;
const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };

/** Grants a token for every login, and counts logins. */
class Service {
  readonly given: number[] = [];
  /** How long a login takes. */
  delayMs = (): number => 0;

  constructor(private readonly clock: FakeClock) {}

  async authenticate(): Promise<AuthOutcome> {
    const waitMs = this.delayMs();
    if (waitMs > 0) await new Promise<void>((resolve) => void this.clock.after(waitMs, () => resolve()));
    this.given.push(this.clock.monoMs());
    return { kind: 'token', token: `t${this.given.length}` };
  }

  logins(): number {
    return this.given.length;
  }

  get worstIn5Minutes(): number {
    const within = (fromMs: number): number =>
      this.given.filter((atMs) => atMs >= fromMs && atMs < fromMs + fiveMinutesMs).length;
    return Math.max(0, ...this.given.map(within));
  }
}

/** A machine: its files outlive its processes. */
class Machine {
  private readonly files: Files;
  /** Latency of one way to the database. */
  databaseMs = (): number => 0;
  engines!: Registry;
  process!: ProcessTime;
  leases: Lease[] = [];

  constructor(
    private readonly clock: FakeClock,
    private readonly service: Service,
    private readonly database: MemoryLogStore | null = null,
    /** This machine's wall clock minus the database's. */
    private readonly skewMs = 0,
  ) {
    this.files = new Files(clock);
    this.boot();
  }

  boot(): void {
    this.process = new ProcessTime(this.clock.world, { offsetMs: this.skewMs });
    this.engines = new Registry(this.process, () => 0);
    this.leases = [];
  }

  /** kill -9, followed by a start without accounts. */
  kill(): void {
    this.process.die();
    this.files.unlock();
    this.boot();
  }

  acquire(account: string, changes: Partial<LeaseRequest> = {}): Lease {
    const member = changes.member ?? '1';
    const { database, process } = this;
    const lease = this.engines.acquire({
      account,
      accountName: account,
      origin: 'http://there',
      member,
      queue: database === null ? 'disk' : 'shared',
      limits,
      queueMaxEntries: 1000,
      queueMaxBytes: 1_000_000,
      login: { method: 'password', username: 'me', password: 'p' },
      authOrigin: 'http://logins',
      connection: 'one way',
      connect: () => this.client(),
      openStore: () => this.files.store(member, process),
      ...(database !== null && {
        shared: {
          identity: 'there',
          open: () =>
            new MemorySharedLog(database, {
              skewMs: this.skewMs,
              delayMs: () => this.databaseMs(),
            }),
          localBuffer: () => this.files.store(`${member} local buffer`, process),
          instanceName: account,
        },
      }),
      log: () => undefined,
      ...changes,
    });
    this.leases.push(lease);
    return lease;
  }

  private client(): ServiceClient {
    const { process } = this;
    const client = {
      authenticate: async () => {
        const outcome = await this.service.authenticate();
        // A dead process receives nothing.
        return process === this.process ? outcome : new Promise(() => undefined);
      },
      post: () => Promise.resolve({ kind: 'accepted', warnings: [] }),
      networkFloorMs: () => 0,
      close: () => Promise.resolve(),
    };
    return client as unknown as ServiceClient;
  }
}

/** Expires every token at once, so that all of them log in again. */
async function wearOut(clock: FakeClock, machines: readonly Machine[], ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    for (const { leases } of machines) for (const { keeper } of leases) void burn(keeper);
    await clock.advance(500);
  }
}

async function burn(keeper: Lease['keeper']): Promise<void> {
  const outcome = await keeper.token();
  if (outcome.kind === 'token') keeper.refused(outcome.token);
}

describe('ten logins in five minutes', function () {
  this.timeout(0);
  let clock: FakeClock;
  let service: Service;

  beforeEach(() => {
    clock = new FakeClock();
    service = new Service(clock);
  });

  it('apply to several members, also when only one of them returns after a crash', async () => {
    const machine = new Machine(clock, service);
    for (const member of ['1', '2', '3']) machine.acquire(`of ${member}`, { member });
    await clock.advance(100);
    await clock.outcome(burn(machine.leases[1]!.keeper));
    await clock.outcome(burn(machine.leases[1]!.keeper));
    await clock.advance(1_000);
    await wearOut(clock, [machine], 30_000);
    assert.equal(service.logins(), 10);
    machine.kill();
    machine.acquire('of 3', { member: '3' });
    await clock.advance(100);
    await wearOut(clock, [machine], 120_000);
    assert.equal(service.logins(), 10);
  });

  it('include logins of a form, also for an account that is deployed later', async () => {
    const machine = new Machine(clock, service);
    const lease = machine.acquire('first');
    await clock.advance(100);
    const form = machine.engines.loginCount('http://logins', 'me');
    for (let n = 0; n < 5; n += 1) await clock.outcome(form.login(() => service.authenticate(), null));
    await wearOut(clock, [machine], 10_000);
    assert.equal(service.logins(), 10);
    machine.acquire('second', { member: '2' });
    await clock.advance(100);
    await wearOut(clock, [machine], 60_000);
    assert.equal(service.logins(), 10);
    assert.equal((await clock.outcome(form.login(() => service.authenticate(), null))).kind, 'wait');
    assert.notEqual(lease.keeper, machine.leases[1]!.keeper);
  });

  it('apply to each user name, and to each login host, separately', async () => {
    const machine = new Machine(clock, service);
    machine.acquire('one');
    machine.acquire('two', { login: { method: 'password', username: 'you', password: 'p' } });
    machine.acquire('three', { authOrigin: 'http://elsewhere', connection: 'another' });
    await clock.advance(100);
    await wearOut(clock, [machine], 120_000);
    assert.equal(service.logins(), 30);
  });

  it('do not wait for a queue of another member that cannot be reached', async () => {
    const machine = new Machine(clock, service);
    machine.acquire('on disk');
    const open = (): MemorySharedLog => {
      const log = new MemorySharedLog(new MemoryLogStore(clock));
      log.cut();
      return log;
    };
    const shared = {
      identity: '',
      open,
      localBuffer: () => new Files(clock).store('localBuffer'),
      instanceName: 'here',
    };
    machine.acquire('cut off', { member: '2', queue: 'shared', shared });
    await clock.advance(2_000);
    assert.equal((await clock.outcome(machine.leases[0]!.keeper.token())).kind, 'token');
    assert.equal((await clock.outcome(machine.leases[1]!.keeper.token())).kind, 'wait');
  });
});
