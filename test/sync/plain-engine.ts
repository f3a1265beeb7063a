// A member sync in memory: the plain sync store, and a service that answers for all pending entries when told to.

import type { Clock } from '../../src/clock';
import { memberKeyOfEntry } from '../../src/entry/member-key';
import type { MemberChange, SyncStore } from '../../src/queue/sync-store';
import type { Chunk, EndedEntries, MemberSync } from '../../src/sync/member-sync';
import { PlainSyncStore } from '../queue/plain-sync-store';

type Entry = Chunk['entries'][number];

/** What happens at a call, and at the calls after it: of a process that is killed none returns. */
export interface Trouble {
  /** `killed after`: the call takes effect. */
  readonly kind: 'killed before' | 'killed after' | 'fails';
  /** Number of the call, from 1. */
  readonly call: number;
  /** Number of calls. */
  readonly calls: number;
}

export class PlainEngine implements MemberSync {
  readonly opened = Promise.resolve();
  readonly store: SyncStore;
  /** Users in the segment at the service, with their values. */
  readonly atService = new Map<string, number | null>();
  /** Every entry that was appended. */
  readonly appended: Entry[] = [];
  /** Thrown by the next call of the store. */
  failure: Error | null = null;
  /** Calls of the store and appends, so far. */
  calls = 0;
  trouble: Trouble | null = null;
  private readonly plain: PlainSyncStore;
  private queue: Entry[] = [];
  private listener: ((ended: EndedEntries) => void) | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly segment: string,
  ) {
    this.plain = new PlainSyncStore(
      () => this.nowMinutes,
      () => null,
    );
    this.store = new Proxy(this.plain, {
      get:
        (plain, name: keyof SyncStore) =>
        async (first: never, second: never, third: never, ...more: never[]) => {
          return this.call(() =>
            (plain[name] as (...given: never[]) => unknown).call(plain, first, second, third, ...more),
          );
        },
    });
  }

  async append({ entries, segment, state }: Chunk): Promise<void> {
    await this.call(() => {
      if (state !== null) this.plain.commit([], [{ segment, text: state }]);
      this.queue.push(...entries);
      this.appended.push(...entries);
    });
  }

  pending(): number {
    return this.queue.length;
  }

  onEnded(_segment: string, listener: (ended: EndedEntries) => void): () => void {
    this.listener = listener;
    return () => (this.listener = null);
  }

  beginRead(): number {
    return 0;
  }

  endRead(): void {
    // Nothing is kept for a read.
  }

  keep(segment: string): Promise<void> {
    return this.store.keep(segment);
  }

  forget(segment: string): Promise<void> {
    return this.store.forget(segment);
  }

  /** The service answers for everything that is pending. */
  deliver(rejects: (memberKey: string) => boolean): void {
    const ended = this.queue;
    this.queue = [];
    const rejected = ended.filter((entry) => rejects(memberKeyOfEntry(entry)));
    this.plain.commit(
      ended.map((entry) => this.changeOf(entry, rejected.includes(entry))),
      [],
    );
    this.listener?.({
      superseded: 0,
      accepted: ended.length - rejected.length,
      rejected: rejected.map((entry) => ({ entry, code: 'refused', message: 'refused' })),
    });
  }

  private changeOf(entry: Entry, isRejected: boolean): MemberChange {
    const memberKey = memberKeyOfEntry(entry);
    const { expiration, head } = entry.blocks[0]!;
    const { value = null } = JSON.parse(`${head}}`) as { value?: number };
    const { segment } = this;
    const state = isRejected ? 'rejected' : expiration === -1 ? 'gone' : 'member';
    if (state === 'member') this.atService.set(memberKey, value);
    if (state === 'gone') this.atService.delete(memberKey);
    return { segment, memberKey, state, value, expiration, sinceMinutes: this.nowMinutes };
  }

  private get nowMinutes(): number {
    return Math.floor(this.clock.wallMs() / 60_000);
  }

  private async call<T>(effect: () => T): Promise<T> {
    await Promise.resolve();
    const { failure, trouble } = this;
    this.failure = null;
    if (failure !== null) throw failure;
    this.calls += 1;
    const past = trouble === null ? -1 : this.calls - trouble.call;
    if (trouble === null || past < 0 || past >= trouble.calls) return effect();
    if (trouble.kind === 'fails') throw new Error('disk full');
    if (trouble.kind === 'killed after' && past === 0) await effect();
    return new Promise(() => undefined);
  }
}
