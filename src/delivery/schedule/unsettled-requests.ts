// Requests that departed and whose outcome is not durable yet, and who waits for them.

interface Waiter {
  /** It waits for the requests up to one, and for the messages up to another. */
  readonly post: number;
  readonly message: number;
  readonly done: () => void;
}

export class UnsettledRequests {
  /** The oldest first. */
  private readonly open = new Set<number>();
  /** Their outcome is in the next commit. */
  private settling: number[] = [];
  private last = 0;
  private waiters: Waiter[] = [];

  departed(post: number): void {
    this.open.add(post);
    this.last = post;
  }

  /** It did not leave after all. */
  cancelled(post: number): void {
    this.open.delete(post);
  }

  settled(post: number): void {
    this.settling.push(post);
  }

  committed(): void {
    for (const post of this.settling.splice(0)) this.open.delete(post);
  }

  /** Calls when all that has departed is settled, and so many messages are taken. */
  wait(message: number, done: () => void): void {
    this.waiters.push({ post: this.last, message, done });
  }

  /** So many messages are taken. `isOver`: nothing more will happen. */
  tell(taken: number, isOver: boolean): void {
    if (this.waiters.length === 0) return;
    const [oldest = Infinity] = this.open;
    const isDone = ({ post, message }: Waiter): boolean => isOver || (post < oldest && message <= taken);
    const done = this.waiters.filter(isDone);
    this.waiters = this.waiters.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) waiter.done();
  }
}
