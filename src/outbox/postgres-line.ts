// One connection to the database that is made when it is needed and replaced when it breaks. One call at a time, in
// order, each a statement of its own and so a transaction: nothing of a session is relied on, nor left half done.

import type { Client, ClientConfig } from 'pg';

import { nameOf, type Address } from './postgres-address';
import { CallError } from './postgres-errors';
import type { MakeClient } from './postgres-module';
import type { Host } from './postgres-url';

/** Part of the engine's clock. */
export interface LineClock {
  monoMs(): number;
  wallMs(): number;
  after(delayMs: number, call: () => void): () => void;
  endOfTurn(call: () => void): void;
}

export const systemLineClock: LineClock = {
  monoMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
  endOfTurn(call) {
    setImmediate(call);
  },
};

export const connectMs = 5_000;
export const callMs = 5_000;
const goodbyeMs = 1_000;

/** Transactions that met another one, and are to be tried again: serialization failure, deadlock. */
const metAnother = ['40001', '40P01'];
const triesAgain = 4;

export type Values = readonly (string | number | boolean | null | readonly (string | number)[])[];

/** Tells all lines of a log which of several hosts took writes last. */
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
  readonly clock: LineClock;
}

export class Line {
  #client: Client | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly options: LineOptions) {}

  /** Rejects with a CallError. */
  run<T extends object>(sql: string, values: Values = []): Promise<T[]> {
    return this.#inOrder(() => this.#runAgain<T>(sql, values));
  }

  /** Several statements on one and the same connection, with nothing in between. `work` must not call `run`. */
  together<T>(work: (run: Line['run']) => Promise<T>): Promise<T> {
    return this.#inOrder(async () => {
      const client = await this.#connected();
      return work((sql, values) => this.#runOn(client, sql, values ?? []));
    });
  }

  /** Carries out what was called before. */
  async close(): Promise<void> {
    await this.#last;
    this.#closed = true;
    const client = this.#client;
    this.#client = null;
    if (client !== null) await hangUp(client, this.options.clock);
  }

  /** Breaks the connection: what is on its way ends in an error. */
  break(): void {
    this.#drop(this.#client);
  }

  #inOrder<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call, call);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #runAgain<T extends object>(sql: string, values: Values): Promise<T[]> {
    for (let failed = 1; ; failed++) {
      try {
        return await this.#runOn<T>(await this.#connected(), sql, values);
      } catch (error) {
        const isToRepeat = error instanceof CallError && metAnother.includes(error.sqlState);
        if (!isToRepeat || failed > triesAgain) throw error;
        await new Promise<void>((resolve) => void this.options.clock.after(10 * failed, resolve));
      }
    }
  }

  async #runOn<T extends object>(client: Client, sql: string, values: Values): Promise<T[]> {
    // What follows on another connection would not be in the same transaction.
    if (client !== this.#client) throw new CallError(new Error('the connection broke'), 'no');
    try {
      const { rows } = await inTime(this.options.clock, client.query<T>(sql, values as unknown[]), () =>
        this.#drop(client),
      );
      return rows;
    } catch (error) {
      if (isRefusal(error)) throw new CallError(error, 'no');
      // Broken: what comes next is not to try this one again, which has perhaps not heard of its end yet.
      this.#drop(client);
      throw new CallError(error, 'unknown');
    }
  }

  async #connected(): Promise<Client> {
    if (this.#client !== null) return this.#client;
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
    // With a call on its way this breaks the connection off.
    void hangUp(client, this.options.clock);
  }
}

/**
 * A database that is frozen, or cut off without a word, does not answer: `giveUp` is to end the connection. A process
 * that was asleep, or too busy, finds its timer due before it has read what came meanwhile: it reads that first.
 */
export function inTime<T>(clock: LineClock, call: Promise<T>, giveUp: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const cancel = clock.after(callMs, () =>
      // Sockets are read between the timers and the end of a turn.
      clock.endOfTurn(() => {
        if (isSettled) return;
        giveUp();
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

/** Resolves when the connection has ended: by force when the other side does not answer the goodbye. Never rejects. */
export async function hangUp(client: Client, clock: LineClock): Promise<void> {
  const cancel = clock.after(goodbyeMs, () => client.connection.stream.destroy());
  await client.end().catch(() => undefined);
  cancel();
}

/** Of several hosts only one that takes writes. Rejects with whatever went wrong. */
export async function connect(
  { makeClient, address, hosts, clock }: LineOptions,
  host: Host,
): Promise<Client> {
  const open = (ssl: Address['ssl']) => tryConnect(makeClient, configOf(address, host, ssl), clock);
  const secure = await open(address.ssl).catch(async (error: unknown) => {
    const hasNoTls = error instanceof Error && error.message.includes('does not support SSL');
    if (!address.plainIfRefused || !hasNoTls) throw error;
    return open(false);
  });
  if (hosts.inOrder.length > 1 && (await isReadOnly(secure, clock))) {
    void hangUp(secure, clock);
    throw Object.assign(new Error(`${nameOf(host)} takes no changes`), { severity: 'ERROR', code: '25006' });
  }
  return secure;
}

function configOf(address: Address, { host, port }: Host, ssl: Address['ssl']): ClientConfig {
  const { database, user, password } = address;
  return {
    host,
    port,
    database,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    // `pg` hides a key that it finds there from what is printed, in the object itself.
    ssl: ssl === false ? false : { ...ssl },
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    application_name: 'instant audience',
  };
}

async function tryConnect(makeClient: MakeClient, config: ClientConfig, clock: LineClock): Promise<Client> {
  const client = makeClient(config);
  // Unheard, an error between two calls would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    void hangUp(client, clock);
    throw error;
  }
}

async function isReadOnly(client: Client, clock: LineClock): Promise<boolean> {
  const { rows } = await inTime(
    clock,
    client.query<{ transaction_read_only: string }>('SHOW transaction_read_only'),
    () => void hangUp(client, clock),
  );
  return rows[0]?.transaction_read_only === 'on';
}

/** The database itself said no, and goes on serving this connection: nothing was changed. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR';
}
