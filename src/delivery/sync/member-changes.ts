// Member changes: what the service accepts of a synced segment goes into the commit that acknowledges it, so the members in
// the store are those that it accepted (sync.md, "Members").

import type { Clock } from '../../clock';
import { memberKeyOfEntry } from '../../entry/member-key';
import type { MemberChange } from '../../queue/sync-store';
import type { CommitBuffer } from '../commit-buffer';
import type { PendingBlock } from '../pending/pending-entry';
import { isDeletion } from '../respond/deletions';
import { closedCode } from '../respond/reports';
import type { ChangedMembers } from './changed-members';
import { suppressedCode, type Suppressions } from './suppressions';

export class MemberChanges {
  /** Keys of the segments whose members are kept. */
  private readonly kept = new Set<string>();

  constructor(
    private readonly clock: Clock,
    private readonly commitBuffer: CommitBuffer,
    private readonly changed: ChangedMembers,
    private readonly suppressions: Suppressions,
  ) {}

  /** Called when the service has, or may have, an add of a suppressed user: the user has to leave the segment. */
  onSuppressed: (segment: string, memberKey: string) => void = () => undefined;

  get any(): boolean {
    return this.kept.size > 0;
  }

  keeps(segment: string): boolean {
    return this.kept.has(segment);
  }

  keep(segment: string): void {
    this.kept.add(segment);
  }

  forget(segment: string): void {
    this.kept.delete(segment);
  }

  /** The service accepted a block that was sent at `sentMs` (monotonic). */
  accepted(block: PendingBlock, sentMs: number): void {
    const { segBlock, entry } = block;
    if (this.kept.size === 0 || !this.kept.has(segBlock.key)) return;
    if (block.sentExpired || segBlock.expiration === -1) {
      this.add(block, 'gone', sentMs);
      return;
    }
    if (this.suppressions.has(entry.checked.userKey)) this.hasToLeave(block, sentMs);
    else this.add(block, entry.bulk ? 'member' : 'live', sentMs);
  }

  private hasToLeave(block: PendingBlock, sentMs: number): void {
    // In the same commit, so that the next run removes the user even if the process dies before the removal is queued.
    this.add(block, 'erased', sentMs);
    this.onSuppressed(block.segBlock.key, memberKeyOfEntry(block.entry.checked));
  }

  /** A block ends as rejected. */
  rejected(block: PendingBlock, code: string): void {
    const { segBlock, entry } = block;
    if (this.kept.size === 0 || !this.kept.has(segBlock.key)) return;
    if (isDeletion(code) || code === closedCode) return;
    if (code === suppressedCode) {
      if (block.mayHaveRun) this.hasToLeave(block, this.clock.monoMs());
      return;
    }
    const removes = segBlock.expiration === -1;
    // A further try changes nothing, and the user is to be forgotten.
    if (removes && this.suppressions.has(entry.checked.userKey)) this.add(block, 'gone', this.clock.monoMs());
    if (!removes && entry.bulk) this.add(block, 'rejected', this.clock.monoMs());
  }

  private add(block: PendingBlock, state: MemberChange['state'], sentMs: number): void {
    const { segBlock, entry } = block;
    const memberKey = memberKeyOfEntry(entry.checked);
    const segment = segBlock.key;
    this.changed.note(segment, memberKey);
    const { head, expiration } = segBlock;
    const { value = null } = JSON.parse(`${head}}`) as { value?: number };
    this.commitBuffer.member({
      segment,
      memberKey,
      state,
      value,
      expiration,
      sinceMinutes: this.sinceMinutes(block, sentMs),
    });
  }

  /** An expiration that ages counts from the event; another from when the service applies it, so not before it was sent. */
  private sinceMinutes({ segBlock, entry }: PendingBlock, sentMs: number): number {
    const ages = entry.checked.ages && (segBlock.expiration ?? 0) > 0;
    const agoMs = this.clock.monoMs() - (ages ? entry.eventMonoMs : sentMs);
    return Math.floor((this.clock.wallMs() - agoMs) / 60_000);
  }
}
