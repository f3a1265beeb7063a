// Changed members: those that changed since a read of the members began. A refresh that was made of that read would bring
// an old state back, so it is dropped (sync.md, "Refresh").

export class ChangedMembers {
  /** Increases with each commit that changes members. */
  private stamp = 0;
  /** Their change is not durable yet, so a read may not show it. */
  private readonly uncommitted = new Set<string>();
  /** The stamp of the last change, as far as an open read may not show it. */
  private readonly changed = new Map<string, number>();
  /** Open reads by the stamp at which they began, in its order. */
  private readonly reads = new Map<number, number>();

  note(segment: string, memberKey: string): void {
    this.uncommitted.add(nameOf(segment, memberKey));
  }

  /** Every change so far is durable. */
  committed(): void {
    if (this.uncommitted.size === 0) return;
    this.stamp += 1;
    if (this.reads.size > 0) for (const name of this.uncommitted) this.changed.set(name, this.stamp);
    this.uncommitted.clear();
  }

  /** Call before the read. Changes are remembered until `endRead` of the result. */
  beginRead(): number {
    const { stamp, reads } = this;
    reads.set(stamp, (reads.get(stamp) ?? 0) + 1);
    return stamp;
  }

  /** Needs one more `endRead`. Call before the first. */
  keepRead(readSince: number): void {
    this.reads.set(readSince, (this.reads.get(readSince) ?? 0) + 1);
  }

  endRead(readSince: number): void {
    const { reads, changed } = this;
    const left = (reads.get(readSince) ?? 1) - 1;
    if (left > 0) reads.set(readSince, left);
    else reads.delete(readSince);
    const [oldest = Infinity] = reads.keys();
    for (const [name, stamp] of changed) if (stamp <= oldest) changed.delete(name);
  }

  /** Whether the member may have changed since a read that began at `readSince`. */
  has(segment: string, memberKey: string, readSince: number): boolean {
    const name = nameOf(segment, memberKey);
    return this.uncommitted.has(name) || (this.changed.get(name) ?? -Infinity) > readSince;
  }
}

function nameOf(segment: string, memberKey: string): string {
  return `${segment}\n${memberKey}`;
}
