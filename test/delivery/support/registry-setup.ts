// Engines of a registry on the tests' clock, over a service that records requests.
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../../src/entry/check';
import { Registry, type Lease, type LeaseRequest } from '../../../src/delivery/registry';
import type { MessageEnd } from '../../../src/delivery/pending-messages';
import { SqliteStore } from '../../../src/queue/sqlite/sqlite-store';
import type { ServiceClient } from '../../../src/service/client';
import type { Login } from '../../../src/service/login/login';
import type { AuthOutcome, PostOutcome } from '../../../src/service/reply/outcome';
import { MemorySharedLog, type MemoryLogStore } from '../../queue/memory-shared-log';
import { FakeClock } from './fake-clock';
import { Files } from './files';

interface Post {
  readonly users: string[];
  /** The client that sent it. */
  readonly via: string;
  readonly token: string;
  readonly atMs: number;
}

export const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };

export const accepted: PostOutcome = {
  kind: 'accepted',
  warnings: [],
  counts: { users: null, segments: null },
};

export class Setup {
  readonly clock = new FakeClock();
  readonly engines = new Registry(this.clock, () => 0.5);
  readonly posts: Post[] = [];
  readonly logins: string[] = [];
  readonly closedClients: string[] = [];
  readonly log: string[] = [];
  readonly files = new Files(this.clock);
  opened = 0;
  authOutcome: AuthOutcome | null = null;
  postOutcome: PostOutcome | Promise<PostOutcome> = accepted;

  request(account: string, changes: Partial<LeaseRequest> = {}): LeaseRequest {
    const queue = changes.queue ?? 'disk';
    return {
      account,
      accountName: `Account ${account}`,
      origin: 'http://there',
      member: '7',
      queue,
      limits,
      queueMaxEntries: 1000,
      queueMaxBytes: 1_000_000,
      login: { method: 'password', username: `user of ${account}`, password: 'p' },
      authOrigin: 'http://logins',
      connection: 'there',
      connect: () => this.client(account),
      openStore: () => {
        this.opened += 1;
        return queue === 'disk'
          ? this.files.store('queue')
          : new SqliteStore(':memory:', { clock: this.clock });
      },
      log: (level, text) => this.log.push(`${level}: ${text}`),
      ...changes,
    };
  }

  private client(account: string): ServiceClient {
    const client = {
      authenticate: ({ username }: Login): Promise<AuthOutcome> => {
        this.logins.push(username);
        return Promise.resolve(this.authOutcome ?? { kind: 'token', token: `token of ${username}` });
      },
      post: (body: string, token: string): Promise<PostOutcome> => {
        const { rt_segment: entries } = JSON.parse(body) as { rt_segment: { user_id: string }[] };
        const users = entries.map(({ user_id }) => user_id);
        if (this.postOutcome === accepted)
          this.posts.push({ users, via: account, token, atMs: this.clock.monoMs() });
        return Promise.resolve(this.postOutcome);
      },
      networkFloorMs: () => 0,
      close: () => {
        this.closedClients.push(account);
        return Promise.resolve();
      },
    };
    return client as unknown as ServiceClient;
  }

  get sent(): string[] {
    return this.posts.flatMap(({ users }) => users);
  }
}

/** A queue that is shared in this database. */
export function sharedIn(
  { files }: Setup,
  logStore: MemoryLogStore,
  identity: string,
): Partial<LeaseRequest> {
  const shared = {
    identity,
    open: () => new MemorySharedLog(logStore),
    localBuffer: () => files.store('localBuffer'),
    instanceName: 'here',
  };
  return { queue: 'shared', shared };
}

export function submit(lease: Lease, account: string, ...users: string[]): MessageEnd[] {
  const ends: MessageEnd[] = [];
  for (const user of users) {
    const checked = checkEntry({ user_id: user, seg_block: [{ seg_id: 1 }] });
    assert.ok(checked.ok);
    const source = { node: 'node', account };
    lease.engine.submit({
      source,
      entries: [checked.entry],
      indexes: null,
      completeOn: 'accepted',
      onEnd: (end) => ends.push(end),
    });
  }
  return ends;
}

/** The node of these tests closes, perhaps only for a deploy. */
export function close(lease: Lease, returns: boolean): void {
  lease.away('node', []);
  lease.leave('node', returns);
}
