// Line: one connection to the database, opened when needed and replaced when it breaks. One call at a time, in
// order; each call is one statement and so one transaction, so that no session state matters and none is left
// half done.
//
// An abandoned call may still run in the database: a backend that waits for a lock or a synchronous standby
// does not notice that its client has disconnected. No further call begins before that is over, see
// AbandonedConnections.

import type { Client, ClientConfig } from 'pg';

import type { Clock } from '../clock';
import { InTurn } from '../in-turn';
import { nameOf, type Address } from './postgres-address';
import { CallError, isRefusal } from './postgres-errors';
import { applicationName, AbandonedConnections, ownStart, pidOf, startOf } from './abandoned-connections';
import type { MakeClient } from './postgres-module';
import type { Host } from './postgres-url';

const connectMs = 5_000;
export const callMs = 5_000;
const goodbyeMs = 1_000;
/** The database times out before the caller does. */
const lockMs = 4_000;

/** Conflicts between transactions, which are retried: serialization failure, deadlock. */
const conflicts = ['40001', '40P01'];
const triesAgain = 4;
/** A server that accepts no changes: a standby, or one that was made read-only. */
const readOnly = '25006';

export type Values = readonly (string | number | boolean | null | readonly (string | number)[])[];

/** Shared by all lines of a log: the last of several hosts that accepted writes. */
export class HostChoice {
  #first = 0;

  constructor(private readonly hosts: readonly Host[]) {}

  get inOrder(): readonly Host[] {
    return [...this.hosts.slice(this.#first), ...this.hosts.slice(0, this.#first)];
  }

  took(host: Host): void {
    this.#first = this.hosts.indexOf(host);
  }
}

export interface LineOptions {
  readonly makeClient: MakeClient;
  readonly address: Address;
  readonly hosts: HostChoice;
  readonly clock: Clock;
}

export class Line {
  #client: Client | null = null;
  readonly #discarded = new AbandonedConnections();
  readonly #turns = new InTurn();
  #closed = false;

  constructor(private readonly options: LineOptions) {}

  /** Number of the backend, as the connection knows it; null without a connection. */
  get pid(): number | null {
    return this.#client === null ? null : pidOf(this.#client);
  }

  /** Rejects with a CallError. */
  run<T extends object>(sql: string, values: Values = []): Promise<T[]> {
    return this.#turns.run(() => this.#runAgain<T>(sql, values));
  }

  /** Runs several statements on the same connection without others in between. `work` must not call `run`. */
  together<T>(work: (run: Line['run']) => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      const client = await this.#connected();
      return work((sql, values) => this.#runOn(client, sql, values ?? []));
    });
  }

  /** Carries out earlier calls, then closes. */
  async close(): Promise<void> {
    await this.#turns.over();
    this.#closed = true;
    const client = this.#client;
    this.#client = null;
    if (client !== null) await hangUp(client, this.options.clock);
  }

  /** Breaks the connection: the call in progress fails. */
  break(): void {
    this.#drop(this.#client);
  }

  async #runAgain<T extends object>(sql: string, values: Values): Promise<T[]> {
    for (let failed = 1; ; failed++) {
      try {
        return await this.#runOn<T>(await this.#connected(), sql, values);
      } catch (error) {
        const isToRepeat = error instanceof CallError && conflicts.includes(error.sqlState);
        if (!isToRepeat || failed > triesAgain) throw error;
        await new Promise<void>((resolve) => void this.options.clock.after(10 * failed, resolve));
      }
    }
  }

  async #runOn<T extends object>(client: Client, sql: string, values: Values): Promise<T[]> {
    // Statements on another connection would not be in the same transaction.
    if (client !== this.#client) throw new CallError(new Error('the connection broke'), 'no');
    try {
      const { rows } = await inTime(this.options.clock, client.query<T>(sql, values as unknown[]), () =>
        this.#drop(client),
      );
      return rows;
    } catch (error) {
      if (isRefusal(error)) {
        const refused = new CallError(error, 'no');
        // Connecting again may find the server that accepts changes.
        if (refused.sqlState === readOnly) this.#drop(client);
        throw refused;
      }
      // The connection is broken. Drop it, so that the next call does not use it before its end is noticed.
      this.#drop(client);
      throw new CallError(error, 'unknown');
    }
  }

  async #connected(): Promise<Client> {
    const client = this.#client ?? (await this.#connect());
    await this.#discarded.end((sql, values) => this.#runOn(client, sql, values));
    return client;
  }

  async #connect(): Promise<Client> {
    if (this.#closed) throw new CallError(new Error('the connection is closed'), 'no');
    let failure: unknown = null;
    for (const host of this.options.hosts.inOrder) {
      try {
        const client = await connect(this.options, host);
        client.on('error', () => this.#drop(client));
        client.on('end', () => this.#drop(client));
        this.#client = client;
        this.options.hosts.took(host);
        return client;
      } catch (error) {
        failure ??= error;
      }
    }
    throw new CallError(failure, 'no');
  }

  #drop(client: Client | null): void {
    if (client === null) return;
    if (this.#client === client) this.#client = null;
    this.#discarded.add(client);
    // This cancels a call in progress.
    void hangUp(client, this.options.clock);
  }
}

/**
 * Limits the time of a call; `discard` has to end the connection. A frozen or disconnected database does not
 * answer. After a sleep or under heavy load a timer may fire before replies that have arrived were read, so
 * these are read first.
 */
export function inTime<T>(clock: Clock, call: Promise<T>, discard: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const cancel = clock.after(callMs, () =>
      // Sockets are read between the timers and the end of a turn.
      clock.endOfTurn(() => {
        if (isSettled) return;
        discard();
        reject(new Error(`no answer within ${callMs / 1000} s`));
      }),
    );
    call
      .finally(() => {
        isSettled = true;
        cancel();
      })
      .then(resolve, reject);
  });
}

/**
 * Resolves when the connection has ended, by force when the other side does not answer the goodbye. Never
 * rejects.
 */
export async function hangUp(client: Client, clock: Clock): Promise<void> {
  const cancel = clock.after(goodbyeMs, () => client.connection.stream.destroy());
  await client.end().catch(() => undefined);
  cancel();
}

/** Connects only to a server that accepts changes. Rejects with the error, unchanged. */
export async function connect({ makeClient, address, clock }: LineOptions, host: Host): Promise<Client> {
  const open = (ssl: Address['ssl']) => tryConnect(makeClient, configOf(address, host, ssl), clock);
  const secure = await open(address.ssl).catch(async (error: unknown) => {
    const hasNoTls = error instanceof Error && error.message.includes('does not support SSL');
    if (!address.plainIfRefused || !hasNoTls) throw error;
    return open(false);
  });
  try {
    if (!(await isReadOnly(secure, clock))) return secure;
    throw Object.assign(new Error(`${nameOf(host)} accepts no changes`), {
      severity: 'ERROR',
      code: readOnly,
    });
  } catch (error) {
    void hangUp(secure, clock);
    throw error;
  }
}

function configOf(address: Address, { host, port }: Host, ssl: Address['ssl']): ClientConfig {
  const { database, user, password } = address;
  return {
    host,
    port,
    database,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    // `pg` hides a key that it finds there from printing, by changing the object itself.
    ssl: ssl === false ? false : { ...ssl },
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    application_name: applicationName,
  };
}

async function tryConnect(makeClient: MakeClient, config: ClientConfig, clock: Clock): Promise<Client> {
  const client = makeClient(config);
  // Without a listener, an error between two calls would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    void hangUp(client, clock);
    throw error;
  }
}

/** Also prepares the session. */
async function isReadOnly(client: Client, clock: Clock): Promise<boolean> {
  const call = client.query<{ read_only: boolean; started: string | null }>(
    `SELECT current_setting('transaction_read_only') = 'on' AS read_only, ${ownStart} AS started,
      set_config('lock_timeout', '${lockMs}', false)`,
  );
  const { rows } = await inTime(clock, call, () => void hangUp(client, clock));
  if (typeof rows[0]?.started === 'string') startOf.set(client, rows[0].started);
  return rows[0]?.read_only === true;
}
