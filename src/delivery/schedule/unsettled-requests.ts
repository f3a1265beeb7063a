// Unsettled requests: sent, with an outcome that is not durable yet; and the callers that wait for them.

interface Waiter {
  /** A caller that waits for requests up to `post`, and for messages up to a number. */
  readonly post: number;
  readonly message: number;
  readonly done: () => void;
}

export class UnsettledRequests {
  /** Oldest first. */
  private readonly open = new Set<number>();
  /** Requests whose outcome is in the next commit. */
  private settling: number[] = [];
  private last = 0;
  private waiters: Waiter[] = [];

  departed(post: number): void {
    this.open.add(post);
    this.last = post;
  }

  /** The request was not sent after all. */
  cancelled(post: number): void {
    this.open.delete(post);
  }

  settled(post: number): void {
    this.settling.push(post);
  }

  committed(): void {
    for (const post of this.settling.splice(0)) this.open.delete(post);
  }

  /** Calls `done` when all requests so far are settled, and the message with this number was handled. */
  wait(message: number, done: () => void): void {
    this.waiters.push({ post: this.last, message, done });
  }

  /** `taken` messages were handled. `isOver`: the engine is closed, so no caller has to wait any more. */
  tell(taken: number, isOver: boolean): void {
    if (this.waiters.length === 0) return;
    const [oldest = Infinity] = this.open;
    const isDone = ({ post, message }: Waiter): boolean => isOver || (post < oldest && message <= taken);
    const done = this.waiters.filter(isDone);
    this.waiters = this.waiters.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) waiter.done();
  }
}
