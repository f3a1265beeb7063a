// Real PostgreSQL instead of the contract in memory: each process has its own connections.
import type { Pool } from 'pg';
import { PostgresLog } from '../../../src/queue-postgres/postgres-log';
import { schemaOf } from '../../../src/queue-postgres/postgres-schema';
import type { QueueStore } from '../../../src/queue/store';
import type { Instance, News, SharedLog } from '../../../src/queue/shared-log';
import type { Dice } from '../world/dice';
import { Database, type DatabaseUser } from '../world/database';
import type { WorldTime } from '../world/virtual-time';
import { ofProcess } from './of-process';

/** An instance that does not exist: its goodbye is not that of the process that died. */
const nobody: Instance = { id: 'nobody', name: 'nobody' };
const lookEveryMs = 500;

export class RealDatabase extends Database {
  readonly #pending = new Map<string, number>();
  readonly #epochs = new Map<string, number>();
  readonly #logs = new Map<number, Set<PostgresLog>>();
  readonly #ending: Promise<void>[] = [];

  constructor(
    world: WorldTime,
    dice: Dice,
    private readonly pool: Pool,
    private readonly url: string,
    private readonly origin: string,
  ) {
    super(world, dice, 0);
  }

  override log(member: string, user: DatabaseUser): SharedLog {
    const { url, origin } = this;
    const log = new PostgresLog({ url, origin, member, clock: user.time });
    const logs = this.#logs.get(user.instance) ?? new Set();
    this.#logs.set(user.instance, logs.add(log));
    if (!this.#pending.has(member)) {
      this.#pending.set(member, 0);
      this.#look(member);
    }
    const its = ofProcess(log, user.time);
    return {
      open: () => its.open(),
      append: (batch) => its.append(batch),
      appendedThrough: (producerId) => its.appendedThrough(producerId),
      claim: async (...args) => {
        const claim = await its.claim(...args);
        if (claim.ours) this.#epochs.set(`${member} ${user.instance}`, claim.fencingToken);
        return claim;
      },
      release: (...args) => its.release(...args),
      store: (...args): QueueStore => ofProcess(log.store(...args), user.time),
      meta: its.meta,
      nowMs: () => log.nowMs(),
      outcomes: (...args) => its.outcomes(...args),
      setPaused: (paused) => its.setPaused(paused),
      flush: () => its.flush(),
      requestDeletion: (request) => its.requestDeletion(request),
      deletions: () => its.deletions(),
      finishDeletion: (...args) => its.finishDeletion(...args),
      onNews: (listener: (news: News) => void) => log.onNews((news) => user.time.run(() => listener(news))),
      close: async (instance) => {
        await its.close(instance);
        logs.delete(log);
      },
    };
  }

  /** Records now and then how many entries are pending. */
  #look(member: string): void {
    const table = `${schemaOf({ origin: this.origin, member })}.total`;
    const again = (): void => void this.world.after(lookEveryMs, () => this.#look(member));
    this.pool.query<{ waiting: number }>(`SELECT waiting::float8 FROM ${table}`).then(
      ({ rows: [found] }) => {
        this.#pending.set(member, found?.waiting ?? 0);
        again();
      },
      // It is not created yet.
      again,
    );
  }

  override pending(member: string): number {
    return this.#pending.get(member) ?? 0;
  }

  override token(member: string, instance: number): number {
    return this.#epochs.get(`${member} ${instance}`) ?? 0;
  }

  /** The server has the lease, and a query would take time. */
  override isSender(): null {
    return null;
  }

  override processDied(instance: number): void {
    for (const log of this.#logs.get(instance) ?? []) this.#ending.push(log.close(nobody));
    this.#logs.delete(instance);
  }

  override async end(): Promise<void> {
    await Promise.allSettled(this.#ending);
  }
}
