// Plain store: the contract of QueueStore in plain JavaScript without indexes, the reference for the other
// stores.
import {
  QueueError,
  type Commit,
  type Lane,
  type RecoveredRecord,
  type Opened,
  type QueueStore,
  type Page,
  type Row,
  type RowState,
  type UserRows,
} from '../../src/queue/store';

/* oxlint-disable typescript/require-await -- the contract is asynchronous, the model is not */
export class PlainStore implements QueueStore {
  readonly durable = true;
  #lastSeq = 0;
  #rows: Row[] = [];
  /** By request number. */
  #records = new Map<number, RecoveredRecord>();
  readonly #meta = new Map<string, string>();

  async open(): Promise<Opened> {
    const recovered = [...this.#records.values()].sort((a, b) => a.post - b.post);
    let next = Math.min(0, recovered[0]?.post ?? 0);
    const left = recovered.map((record) => (record.post > 0 ? { ...record, post: --next } : record));
    this.#records = new Map(left.map((record) => [record.post, record]));
    const waiting = this.#rows.filter(({ state }) => state === 'waiting');
    return {
      lastSeq: this.#lastSeq,
      waiting: waiting.length,
      bodyChars: this.#rows.reduce((sum, { body }) => sum + body.length, 0),
      recovered: left.sort((a, b) => b.post - a.post),
      oldestTakenWallMs: waiting[0]?.takenWallMs ?? null,
    };
  }

  async commit(commit: Commit): Promise<void> {
    this.#check(commit);
    const {
      append = [],
      tombstone = [],
      repeat = [],
      remove = [],
      begin = [],
      unknown = [],
      settle = [],
    } = commit;
    this.#rows.push(...append.map((row): Row => ({ ...row, state: 'waiting' })));
    this.#lastSeq = append.at(-1)?.seq ?? this.#lastSeq;
    this.#setState(tombstone, 'tombstone');
    this.#setState(repeat, 'repeat');
    const { dropTombstonesThrough = 0 } = commit;
    this.#rows = this.#rows.filter(
      ({ seq, state }) => !remove.includes(seq) && !(state === 'tombstone' && seq <= dropTombstonesThrough),
    );
    for (const { post, userHashes } of begin)
      this.#records.set(post, { post, userHashes, untilWallMs: null });
    for (const { post, untilWallMs } of unknown) {
      const record = this.#records.get(post);
      if (record !== undefined) this.#records.set(post, { ...record, untilWallMs });
    }
    for (const post of settle) this.#records.delete(post);
  }

  async read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<Page> {
    const rows = this.#rows
      .filter((row) => row.lane === lane && row.state !== 'tombstone')
      .filter(({ seq }) => seq > afterSeq && seq <= throughSeq)
      .slice(0, limit);
    const users = rows.map(({ userHash }) => userHash);
    const tombstones = this.#rows.filter(
      ({ state, seq, userHash }) => state === 'tombstone' && seq > rows[0]!.seq && users.includes(userHash),
    );
    return { rows, tombstones: rows.length === 0 ? [] : tombstones };
  }

  async rowsOfUsers(userHashes: readonly number[], afterSeq: number, limit: number): Promise<UserRows> {
    const looked = this.#rows.filter(({ seq }) => seq > afterSeq).slice(0, limit);
    const rows = looked.filter(({ userHash }) => userHashes.includes(userHash));
    return { rows, throughSeq: looked.length < limit ? null : looked.at(-1)!.seq };
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
