// Refreshes in a shared log that are not in memory yet. Until they are, the read of which they were made stays open, so that
// it is known which members have changed since (sync.md, "Refresh").

import type { ChangedMembers } from './changed-members';

interface Chunk {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly readSince: number;
}

export class AppendedRefreshes {
  /** In the order of their numbers, as far as this process has appended them. */
  private chunks: Chunk[] = [];

  constructor(private readonly changed: ChangedMembers) {}

  add(chunk: Chunk): void {
    this.changed.keepRead(chunk.readSince);
    this.chunks.push(chunk);
  }

  /** Whether the member may have changed since; also of a refresh that an earlier sender left. */
  isOutdated(seq: number, segment: string, memberKey: string): boolean {
    const chunk = this.chunks.find(({ firstSeq, lastSeq }) => firstSeq <= seq && seq <= lastSeq);
    return chunk === undefined || this.changed.has(segment, memberKey, chunk.readSince);
  }

  /** Forgets chunks of which every row is in memory, or has ended. */
  forget(isLoaded: (throughSeq: number) => boolean): void {
    while (this.chunks.length > 0 && isLoaded(this.chunks[0]!.lastSeq))
      this.changed.endRead(this.chunks.shift()!.readSince);
  }
}
