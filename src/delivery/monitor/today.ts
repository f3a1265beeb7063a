// A count that begins anew at midnight, in the local time of this machine.

export class Today {
  private count = 0;
  /** Epoch ms. */
  private startsMs = 0;
  private endsMs = 0;

  add(nowMs: number, count: number): void {
    this.count = this.at(nowMs) + count;
  }

  at(nowMs: number): number {
    if (nowMs < this.startsMs || nowMs >= this.endsMs) {
      this.startsMs = new Date(nowMs).setHours(0, 0, 0, 0);
      this.endsMs = new Date(nowMs).setHours(24, 0, 0, 0);
      this.count = 0;
    }
    return this.count;
  }
}
