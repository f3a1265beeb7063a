// Ready queue: users that can be sent now, by account and lane. Removals go first, but every fifth slot goes to
// an add, so that removals never starve adds.

import { Fifo } from '../pending/fifo';
import type { ReadyQueue, User } from '../pending/user';

/** Every slot of this number goes to a waiting add. */
const placesPerAdd = 5;

/** One lane of one account. */
class LaneQueue extends Fifo<User> implements ReadyQueue {
  constructor(readonly account: AccountQueues) {
    super();
  }

  /** Drops stale positions at the front: their users have moved to other queues. */
  dropStale(): void {
    for (let head = this.peek(); head !== undefined && head.queue !== this; head = this.peek()) super.shift();
  }

  override pop(): User | undefined {
    let user = super.pop();
    while (user !== undefined && user.queue !== this) user = super.pop();
    return user;
  }
}

/** The two lanes of one account. */
class AccountQueues {
  readonly removal = new LaneQueue(this);
  readonly add = new LaneQueue(this);
  /** Number of users in both lanes, without stale positions. */
  size = 0;
  private place = 0;

  shift(): User | null {
    const { removal, add } = this;
    removal.dropStale();
    add.dropStale();
    if (removal.size === 0) return add.shift() ?? null;
    if (add.size === 0) return removal.shift() ?? null;
    this.place = (this.place + 1) % placesPerAdd;
    return (this.place === 0 ? add.shift() : removal.shift()) ?? null;
  }

  pop(): User | null {
    return this.add.pop() ?? this.removal.pop() ?? null;
  }
}

export class ReadyUsers {
  private readonly byAccount = new Map<string, AccountQueues>();

  /** Appends a user to its lane, or moves it from the adds to the removals. */
  put(user: User, account: string): void {
    const queues = this.queues(account);
    const queue = user.removes ? queues.removal : queues.add;
    if (user.queue === queue || (user.queue === queues.removal && queue === queues.add)) return;
    this.forget(user);
    user.queue = queue;
    queue.push(user);
    queues.size += 1;
  }

  /** Puts a user that `shift` returned back to the front. */
  putBack(user: User, account: string): void {
    const queues = this.queues(account);
    const queue = user.removes ? queues.removal : queues.add;
    user.queue = queue;
    queue.unshift(user);
    queues.size += 1;
  }

  /** Removes and returns the next user of an account, or null. */
  shift(account: string): User | null {
    const user = this.byAccount.get(account)?.shift() ?? null;
    if (user !== null) this.forget(user);
    return user;
  }

  /** Removes and returns the user of an account that came last, or null. */
  pop(account: string): User | null {
    const user = this.byAccount.get(account)?.pop() ?? null;
    if (user !== null) this.forget(user);
    return user;
  }

  /** Removes a user from its queue. */
  forget(user: User): void {
    if (user.queue === null) return;
    user.queue.account.size -= 1;
    user.queue = null;
  }

  size(account: string): number {
    return this.byAccount.get(account)?.size ?? 0;
  }

  accounts(): Iterable<string> {
    return this.byAccount.keys();
  }

  /** Removes and returns all users that wait for an account whose login no longer exists. */
  drain(account: string): User[] {
    const users: User[] = [];
    for (let user = this.shift(account); user !== null; user = this.shift(account)) users.push(user);
    return users;
  }

  private queues(account: string): AccountQueues {
    let queues = this.byAccount.get(account);
    if (queues === undefined) {
      queues = new AccountQueues();
      this.byAccount.set(account, queues);
    }
    return queues;
  }
}
