// Database of one shared queue, for its parts: connections, statements, clock, sources and errors.

import type { QueueError, Source } from '../queue/store';
import type { Address } from './postgres-address';
import { CallError, postgresError, toPostgresError } from './postgres-errors';
import type { Clock } from '../clock';
import { HostChoice, Line, type LineOptions, type Values } from './postgres-line';
import type { MakeClient } from './postgres-module';
import { DatabaseClock } from './database-clock';
import { migrate, schemaOf, type QueueName, type Step } from './postgres-schema';
import { postgresSql } from './postgres-sql';

/** The source of an entry: a node, its account, and the instance that accepted the entry. */
export interface InstanceSource extends Source {
  readonly instance: string;
}

/** SQLSTATEs without notifications: unknown function, not allowed, not supported. */
const withoutNotify = ['42883', '42501', '0A000'];

export class Database {
  readonly schema: string;
  readonly time: DatabaseClock;
  /** For appends, so that they only wait for each other. */
  readonly appends: Line;
  /** For the lease, control state, outcomes and small values. */
  readonly control: Line;
  readonly lineOptions: LineOptions;
  sql: ReturnType<typeof postgresSql>;
  isClosed = false;
  readonly #instanceSources = new Map<number, InstanceSource>();
  readonly #idsByKey = new Map<string, number>();

  constructor(
    makeClient: MakeClient,
    readonly address: Address,
    readonly name: QueueName,
    readonly clock: Clock,
  ) {
    this.schema = schemaOf(name);
    this.time = new DatabaseClock(clock);
    this.lineOptions = { makeClient, address, hosts: new HostChoice(address.hosts), clock };
    this.appends = this.line();
    this.control = this.line();
    this.sql = postgresSql(this.schema, true);
  }

  line(): Line {
    return new Line(this.lineOptions);
  }

  /** Migrates the tables, reads the clock, and detects whether there are notifications. */
  async prepare(steps?: readonly Step[]): Promise<void> {
    try {
      const migrated = await migrate(this.control, this.name, steps);
      if (migrated.kind === 'newer') {
        const detail = `format ${migrated.version}; this version reads up to ${migrated.known}`;
        throw postgresError('newer_version', detail, this.address, this.schema);
      }
      const sentMs = this.clock.monoMs();
      const [found] = await this.control.run<{ now: number }>(this.sql.now);
      this.time.measured(sentMs, found!.now);
      this.sql = postgresSql(this.schema, await this.#canNotify());
    } catch (error) {
      throw toPostgresError(error, this.address, this.schema);
    }
  }

  /** Rejects with QueueErrors. */
  async run<T extends object>(line: Line, sql: string, values: Values = []): Promise<T[]> {
    if (this.isClosed) throw this.error('closed', '');
    try {
      return await line.run<T>(sql, values);
    } catch (error) {
      throw toPostgresError(error, this.address, this.schema);
    }
  }

  error(kind: 'closed' | 'fenced' | 'failed' | 'damaged', detail: string): QueueError {
    return postgresError(kind, detail, this.address, this.schema);
  }

  /** Ids of the sources, in their order; inserts new ones. */
  async idsOf(line: Line, instanceSources: readonly InstanceSource[]): Promise<number[]> {
    const unknown = new Map<string, InstanceSource>();
    for (const instanceSource of instanceSources)
      if (!this.#idsByKey.has(keyOf(instanceSource))) unknown.set(keyOf(instanceSource), instanceSource);
    if (unknown.size > 0) {
      const added = [...unknown.values()];
      const columns = [added.map((t) => t.node), added.map((t) => t.account), added.map((t) => t.instance)];
      this.#learn(await this.run<InstanceSource & { id: number }>(line, this.sql.addSources, columns));
    }
    return instanceSources.map((instanceSource) => this.#idsByKey.get(keyOf(instanceSource))!);
  }

  /** Sources by their ids. */
  async instanceSourcesOf(
    line: Line,
    ids: ReadonlySet<number>,
  ): Promise<ReadonlyMap<number, InstanceSource>> {
    const unknown = [...ids].filter((id) => !this.#instanceSources.has(id));
    if (unknown.length > 0)
      this.#learn(await this.run<InstanceSource & { id: number }>(line, this.sql.sourcesOf, [unknown]));
    return this.#instanceSources;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all([this.appends.close(), this.control.close()]);
  }

  async #canNotify(): Promise<boolean> {
    try {
      await this.control.run('SELECT pg_notify($1, $2)', [this.schema, 'rows']);
      return true;
    } catch (error) {
      if (error instanceof CallError && withoutNotify.includes(error.sqlState)) return false;
      throw error;
    }
  }

  #learn(instanceSources: readonly (InstanceSource & { readonly id: number })[]): void {
    for (const { id, node, account, instance } of instanceSources) {
      this.#instanceSources.set(id, { node, account, instance });
      this.#idsByKey.set(keyOf({ node, account, instance }), id);
    }
  }
}

function keyOf({ node, account, instance }: InstanceSource): string {
  return JSON.stringify([node, account, instance]);
}
