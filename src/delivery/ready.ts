// Users that could be sent now, by account and lane. Removals go first; of every five places one is the adds'.

import { Fifo } from './fifo';
import type { User } from './user';

/** Of so many places in a row, removals leave the last to adds that wait. */
const placesPerAdd = 5;

/** The two queues of one account. */
class AccountQueue {
  readonly removal = new Fifo<User>();
  readonly add = new Fifo<User>();
  private place = 0;

  /** The next user, or null. A user's place is stale when it has moved to another queue. */
  shift(): User | null {
    this.dropStale(this.removal);
    this.dropStale(this.add);
    if (this.removal.size === 0) return this.add.shift() ?? null;
    if (this.add.size === 0) return this.removal.shift() ?? null;
    this.place = (this.place + 1) % placesPerAdd;
    return (this.place === 0 ? this.add.shift() : this.removal.shift()) ?? null;
  }

  private dropStale(queue: Fifo<User>): void {
    for (let head = queue.peek(); head !== undefined && head.queue !== queue; head = queue.peek())
      queue.shift();
  }
}

export class ReadyUsers {
  private readonly byAccount = new Map<string, AccountQueue>();
  private readonly counts = new Map<string, number>();
  private readonly accountOf = new Map<unknown, string>();

  /** Puts a user at the end of its lane, or moves it from the adds to the removals. */
  put(user: User, account: string): void {
    const queues = this.queues(account);
    const queue = user.removes ? queues.removal : queues.add;
    if (user.queue === queue || (user.queue === queues.removal && queue === queues.add)) return;
    this.forget(user);
    user.queue = queue;
    queue.push(user);
    this.count(account, 1);
  }

  /** Puts back at the front what `shift` gave and could not be used. */
  putBack(user: User, account: string): void {
    const queues = this.queues(account);
    const queue = user.removes ? queues.removal : queues.add;
    user.queue = queue;
    queue.unshift(user);
    this.count(account, 1);
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
    const account = this.accountOf.get(user.queue);
    user.queue = null;
    if (account !== undefined) this.count(account, -1);
  }

  size(account: string): number {
    return this.counts.get(account) ?? 0;
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

  private count(account: string, change: number): void {
    this.counts.set(account, this.size(account) + change);
  }

  private queues(account: string): AccountQueue {
    let queues = this.byAccount.get(account);
    if (queues === undefined) {
      queues = new AccountQueue();
      this.byAccount.set(account, queues);
      this.accountOf.set(queues.removal, account);
      this.accountOf.set(queues.add, account);
    }
    return queues;
  }
}
