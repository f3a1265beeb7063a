// Ready queue: users that can be sent now, by account and lane. Removals go first, adds next, bulk entries last. But every
// fifth slot goes to an add, and every tenth to a bulk entry, so that none of them starves.

import { lanes } from '../../queue/store';
import { Fifo } from '../pending/fifo';
import type { ReadyQueue, User } from '../pending/user';

/** Every slot of this number goes to a waiting add. */
const placesPerAdd = 5;
/** Of so many slots, the one before the last goes to a waiting bulk entry: it takes the place of a removal, not of an add. */
const placesPerBulk = 10;

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

/** The lanes of one account. */
class AccountQueues {
  readonly removal = new LaneQueue(this);
  readonly add = new LaneQueue(this);
  readonly bulk = new LaneQueue(this);
  /** Number of users in all lanes, without stale positions. */
  size = 0;
  private place = 0;

  shift(): User | null {
    const { bulk } = this;
    bulk.dropStale();
    const next = this.someLive ? this.nextLane() : bulk;
    return next.shift() ?? null;
  }

  /** Whether any user is in another lane than bulk. */
  get someLive(): boolean {
    const { removal, add } = this;
    removal.dropStale();
    add.dropStale();
    return removal.size > 0 || add.size > 0;
  }

  /** Call only if `someLive`. */
  private nextLane(): LaneQueue {
    const { removal, add, bulk } = this;
    const first = removal.size > 0 ? removal : add;
    if (bulk.size === 0 && (first === add || add.size === 0)) return first;
    this.place = (this.place + 1) % placesPerBulk;
    if (bulk.size > 0 && this.place === placesPerBulk - 1) return bulk;
    return add.size > 0 && this.place % placesPerAdd === 0 ? add : first;
  }

  pop(): User | null {
    return this.add.pop() ?? this.removal.pop() ?? this.bulk.pop() ?? null;
  }
}

export class ReadyUsers {
  private readonly byAccount = new Map<string, AccountQueues>();

  /** Appends a user to its lane, unless it is in one that goes first. */
  put(user: User, account: string): void {
    const queues = this.queues(account);
    const { lane } = user;
    for (const one of lanes) {
      if (user.queue === queues[one]) return;
      if (one === lane) break;
    }
    this.forget(user);
    const queue = queues[lane];
    user.queue = queue;
    queue.push(user);
    queues.size += 1;
  }

  /** Puts a user that `shift` returned back to the front. */
  putBack(user: User, account: string): void {
    const queues = this.queues(account);
    const queue = queues[user.lane];
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

  /** Whether a user of the account is in another lane than bulk. */
  someLive(account: string): boolean {
    return this.byAccount.get(account)?.someLive === true;
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
