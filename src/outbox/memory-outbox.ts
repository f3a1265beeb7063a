// The outbox in memory: the whole contract, nothing survives the process. Also the model for other stores' tests.

import { checkAppend, isEmpty } from './commit-parts';
import { OutboxError, type Commit, type Lane, type LeftFlight, type NewRow, type Opened } from './outbox';
import type { FlightMark, Outbox, Page, Row, RowState, Source, UserRows } from './outbox';
import { LaneRows, type Touched } from './row-chunks';

interface Flight {
  readonly userHashes: readonly number[];
  readonly untilWallMs: number | null;
}

/** Its content outlives `close` for as long as the object does, so that `open` finds it again. */
export class MemoryOutbox implements Outbox {
  readonly durable: boolean = false;
  #isOpen = false;
  #lastSeq = 0;
  #waiting = 0;
  #bodyChars = 0;
  readonly #sources: Source[] = [];
  readonly #sourceNumbers = new Map<string, number>();
  #lastSource: Source | null = null;
  #lastSourceNumber = 0;
  readonly #lanes: Readonly<Record<Lane, LaneRows>> = {
    removal: new LaneRows('removal', this.#sources),
    add: new LaneRows('add', this.#sources),
  };
  /** Numbers of the shields by user. */
  readonly #shields = new Map<number, Set<number>>();
  readonly #flights = new Map<number, Flight>();
  readonly #meta = new Map<string, string>();

  open(): Promise<Opened> {
    if (this.#isOpen)
      return Promise.reject(new OutboxError('failed', 'The queue in memory is open already.'));
    this.#isOpen = true;
    return Promise.resolve({
      lastSeq: this.#lastSeq,
      waiting: this.#waiting,
      bodyChars: this.#bodyChars,
      flights: this.#takeOverFlights(),
      oldestTakenWallMs: this.#oldestWaiting()?.takenWallMs ?? null,
    });
  }

  commit(commit: Commit): Promise<void> {
    return this.#carryOut(() => {
      if (isEmpty(commit)) return;
      checkAppend(commit, this.#lastSeq);
      this.#checkDepart(commit.depart ?? []);
      this.#apply(commit);
    });
  }

  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<Page> {
    return this.#carryOut(() => {
      const rows = this.#lanes[lane].page(afterSeq, throughSeq, limit);
      return { rows, shields: this.#shieldsOf(rows) };
    });
  }

  rowsOfUsers(userHashes: readonly number[], afterSeq: number, limit: number): Promise<UserRows> {
    return this.#carryOut(() => {
      const lanes = Object.values(this.#lanes).flatMap((rows) => rows.page(afterSeq, Infinity, limit, true));
      const looked = lanes.sort((a, b) => a.seq - b.seq).slice(0, limit);
      const wanted = new Set(userHashes);
      return {
        rows: looked.filter((row) => wanted.has(row.userHash)),
        throughSeq: looked.length < limit ? null : (looked.at(-1)?.seq ?? null),
      };
    });
  }

  getMeta(key: string): Promise<string | null> {
    return this.#carryOut(() => this.#meta.get(key) ?? null);
  }

  setMeta(key: string, value: string): Promise<void> {
    return this.#carryOut(() => void this.#meta.set(key, value));
  }

  close(): Promise<void> {
    this.#isOpen = false;
    return Promise.resolve();
  }

  /** As `open` would give them, at any time. */
  get totals(): Pick<Opened, 'lastSeq' | 'waiting' | 'bodyChars'> {
    return { lastSeq: this.#lastSeq, waiting: this.#waiting, bodyChars: this.#bodyChars };
  }

  /** Places for rows that are held, used or not. */
  get slots(): number {
    return this.#lanes.add.slots + this.#lanes.removal.slots;
  }

  /** At once, so that calls are carried out in order; a throw becomes a rejection. */
  #carryOut<T>(call: () => T): Promise<T> {
    if (!this.#isOpen) return Promise.reject(new OutboxError('closed', 'The queue in memory is closed.'));
    return new Promise((resolve) => resolve(call()));
  }

  #apply(commit: Commit): void {
    for (const row of commit.append ?? []) this.#append(row);
    for (const seq of commit.shield ?? []) this.#setState(seq, 'shield');
    for (const seq of commit.repeat ?? []) this.#setState(seq, 'repeat');
    for (const seq of commit.remove ?? []) {
      this.#forget(this.#lanes.add.remove(seq) ?? this.#lanes.removal.remove(seq));
    }
    if (commit.dropShieldsThrough !== undefined) this.#dropShieldsThrough(commit.dropShieldsThrough);
    for (const { post, userHashes } of commit.depart ?? []) {
      this.#flights.set(post, { userHashes: [...userHashes], untilWallMs: null });
    }
    for (const { post, untilWallMs } of commit.lost ?? []) {
      const flight = this.#flights.get(post);
      if (flight !== undefined) this.#flights.set(post, { ...flight, untilWallMs });
    }
    for (const post of commit.arrive ?? []) this.#flights.delete(post);
  }

  #append(row: NewRow): void {
    this.#lanes[row.lane].push(row, this.#sourceNumber(row.source));
    this.#lastSeq = row.seq;
    this.#waiting++;
    this.#bodyChars += row.body.length;
  }

  #sourceNumber(source: Source): number {
    // Rows of one message share one object.
    if (source === this.#lastSource) return this.#lastSourceNumber;
    const key = JSON.stringify([source.node, source.account]);
    let number = this.#sourceNumbers.get(key);
    if (number === undefined) {
      number = this.#sources.push({ node: source.node, account: source.account }) - 1;
      this.#sourceNumbers.set(key, number);
    }
    this.#lastSource = source;
    this.#lastSourceNumber = number;
    return number;
  }

  #setState(seq: number, state: RowState): void {
    const touched = this.#lanes.add.setState(seq, state) ?? this.#lanes.removal.setState(seq, state);
    if (touched === null || touched.before === state) return;
    if (touched.before === 'waiting') this.#waiting--;
    if (touched.before === 'shield') this.#removeShield(touched);
    if (state === 'shield') this.#addShield(touched);
  }

  #forget(touched: Touched | null): void {
    if (touched === null) return;
    this.#bodyChars -= touched.bodyChars;
    if (touched.before === 'waiting') this.#waiting--;
    if (touched.before === 'shield') this.#removeShield(touched);
  }

  #dropShieldsThrough(through: number): void {
    for (const rows of Object.values(this.#lanes)) {
      for (const touched of rows.dropShieldsThrough(through)) this.#forget(touched);
    }
  }

  #addShield({ seq, userHash }: Touched): void {
    const seqs = this.#shields.get(userHash);
    if (seqs === undefined) this.#shields.set(userHash, new Set([seq]));
    else seqs.add(seq);
  }

  #removeShield({ seq, userHash }: Touched): void {
    const seqs = this.#shields.get(userHash);
    seqs?.delete(seq);
    if (seqs?.size === 0) this.#shields.delete(userHash);
  }

  #shieldsOf(rows: readonly Row[]): Row[] {
    const first = rows[0];
    if (first === undefined || this.#shields.size === 0) return [];
    const users = new Set(rows.map((row) => row.userHash));
    return [...users]
      .flatMap((user) => [...(this.#shields.get(user) ?? [])])
      .filter((seq) => seq > first.seq)
      .sort((a, b) => a - b)
      .map((seq) => (this.#lanes.add.get(seq) ?? this.#lanes.removal.get(seq))!);
  }

  #oldestWaiting(): Row | null {
    const [one, other] = [this.#lanes.add.firstWaiting(), this.#lanes.removal.firstWaiting()];
    if (one === null || other === null) return one ?? other;
    return one.seq < other.seq ? one : other;
  }

  #checkDepart(marks: readonly FlightMark[]): void {
    const posts = new Set(this.#flights.keys());
    for (const { post } of marks) {
      if (posts.has(post)) throw new OutboxError('failed', `post ${post} is on its way already`);
      posts.add(post);
    }
  }

  #takeOverFlights(): LeftFlight[] {
    let lowest = 0;
    for (const post of this.#flights.keys()) lowest = Math.min(lowest, post);
    for (const post of [...this.#flights.keys()].filter((number) => number > 0).sort((a, b) => a - b)) {
      this.#flights.set(--lowest, this.#flights.get(post)!);
      this.#flights.delete(post);
    }
    return [...this.#flights].map(([post, flight]) => ({ post, ...flight })).sort((a, b) => b.post - a.post);
  }
}
