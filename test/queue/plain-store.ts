// Plain store: the contract of QueueStore in plain JavaScript without indexes, the reference for the other
// stores.
import {
  QueueError,
  type Commit,
  type Lane,
  type RecoveredRecord,
  type Opened,
  type QueueStore,
  type Row,
  type RowState,
  type UserRange,
} from '../../src/queue/store';

/* oxlint-disable typescript/require-await -- the contract is asynchronous, the model is not */
export class PlainStore implements QueueStore {
  readonly durable = true;
  #lastSeq = 0;
  #rows: (Row & { readonly cold: boolean })[] = [];
  /** By request number. */
  #records = new Map<number, RecoveredRecord>();
  readonly #meta = new Map<string, string>();

  async open(): Promise<Opened> {
    const recovered = [...this.#records.values()].sort((a, b) => a.post - b.post);
    let next = Math.min(0, recovered[0]?.post ?? 0);
    const left = recovered.map((record) => (record.post > 0 ? { ...record, post: --next } : record));
    this.#records = new Map(left.map((record) => [record.post, record]));
    this.#rows = this.#rows.map((row) => ({ ...row, cold: true }));
    const waiting = this.#rows.filter(({ state }) => state === 'waiting');
    return {
      lastSeq: this.#lastSeq,
      waiting: waiting.length,
      bodyChars: this.#rows.reduce((sum, { body }) => sum + body.length, 0),
      recovered: left.sort((a, b) => b.post - a.post),
      oldestAppendedWallMs: waiting[0]?.appendedWallMs ?? null,
    };
  }

  async commit(commit: Commit): Promise<void> {
    this.#check(commit);
    const { append = [], repeat = [], remove = [], begin = [], unknown = [], settle = [] } = commit;
    this.#rows.push(...append.map((row) => ({ ...row, state: 'waiting' as const, cold: row.cold === true })));
    this.#lastSeq = append.at(-1)?.seq ?? this.#lastSeq;
    this.#setState(repeat, 'repeat');
    this.#rows = this.#rows.filter(({ seq }) => !remove.includes(seq));
    for (const { post, userHashes } of begin)
      this.#records.set(post, { post, userHashes, untilWallMs: null });
    for (const { post, untilWallMs } of unknown) {
      const record = this.#records.get(post);
      if (record !== undefined) this.#records.set(post, { ...record, untilWallMs });
    }
    for (const post of settle) this.#records.delete(post);
  }

  async read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<readonly Row[]> {
    return this.#rows
      .filter((row) => row.lane === lane && row.seq > afterSeq && row.seq <= throughSeq)
      .slice(0, limit)
      .map(withoutCold);
  }

  async rowsOfUsers(ranges: readonly UserRange[], limit: number): Promise<readonly (readonly Row[])[]> {
    return ranges.map(({ userHash, afterSeq, throughSeq }) =>
      this.#rows
        .filter((row) => row.userHash === userHash && row.cold)
        .filter(({ seq }) => seq > afterSeq && seq <= throughSeq)
        .slice(0, limit)
        .map(withoutCold),
    );
  }

  async getMeta(key: string): Promise<string | null> {
    return this.#meta.get(key) ?? null;
  }

  async setMeta(key: string, value: string): Promise<void> {
    this.#meta.set(key, value);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #check({ append = [], begin = [] }: Commit): void {
    const seqs = [this.#lastSeq, ...append.map(({ seq }) => seq)];
    const posts = [...this.#records.keys(), ...begin.map(({ post }) => post)];
    const goesUp = seqs.every((seq, at) => at === 0 || seq > seqs[at - 1]!);
    if (!goesUp || new Set(posts).size < posts.length) throw new QueueError('failed', 'refused');
  }

  #setState(seqs: readonly number[], state: RowState): void {
    this.#rows = this.#rows.map((row) => (seqs.includes(row.seq) ? { ...row, state } : row));
  }
}

function withoutCold({ cold: _cold, ...row }: Row & { readonly cold: boolean }): Row {
  return row;
}
