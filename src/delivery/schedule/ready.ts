// Users that could be sent now, by account and lane. Removals go first; of every five places one is the adds'.

import { Fifo } from '../pending/fifo';
import type { ReadyQueue, User } from '../pending/user';

/** Of so many places in a row, removals leave the last to adds that wait. */
const placesPerAdd = 5;

/** One lane of one account. */
class LaneQueue extends Fifo<User> implements ReadyQueue {
  constructor(readonly account: AccountQueues) {
    super();
  }

  /** The first whose place is not stale: users move to other queues. */
  dropStale(): void {
    for (let head = this.peek(); head !== undefined && head.queue !== this; head = this.peek()) super.shift();
  }
}

/** The two queues of one account. */
class AccountQueues {
  readonly removal = new LaneQueue(this);
  readonly add = new LaneQueue(this);
  /** Users in both, stale places apart. */
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
}

export class ReadyUsers {
  private readonly byAccount = new Map<string, AccountQueues>();

  /** Puts a user at the end of its lane, or moves it from the adds to the removals. */
  put(user: User, account: string): void {
    const queues = this.queues(account);
    const queue = user.removes ? queues.removal : queues.add;
    if (user.queue === queue || (user.queue === queues.removal && queue === queues.add)) return;
    this.forget(user);
    user.queue = queue;
    queue.push(user);
    queues.size += 1;
  }

  /** Puts back at the front what `shift` gave and could not be used. */
  putBack(user: User, account: string): void {
    const queues = this.queues(account);
    const queue = user.removes ? queues.removal : queues.add;
    user.queue = queue;
    queue.unshift(user);
    queues.size += 1;
  }

  /** The next user of an account, or null; it is in no queue then. */
  shift(account: string): User | null {
    const user = this.byAccount.get(account)?.shift() ?? null;
    if (user !== null) this.forget(user);
    return user;
  }

  /** Takes a user out wherever it is. */
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

  /** Everybody who waits for an account, taken out (its login is gone). */
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
