// A PostgreSQL primary and its synchronous standby, both on this machine: the primary is killed, the standby promoted.
import { execFile } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { until } from './node-red';
import {
  Daemon,
  findProgram,
  freePort,
  loopback,
  postgresAt,
  postgresUrl,
  postgresUser,
  type Service,
} from './services';

const run = promisify(execFile);
const startMs = 30_000;
/** Only their processes are killed here, never the machine: nothing need reach the disk. */
const quick = ['-c', 'fsync=off', '-c', 'shared_buffers=32MB'];

type User = Awaited<ReturnType<typeof postgresUser>>;

interface Programs {
  readonly initdb: string;
  readonly postgres: string;
  readonly pg_basebackup: string;
}

/** `stop()` it in the end, whatever happened. */
export class PostgresPair implements Service {
  readonly what = 'PostgreSQL primary with a standby that the test started';
  readonly #programs: Programs;
  readonly #as: User;
  /** Two, at which primary and standby take turns. */
  readonly #ports: readonly [number, number];
  #primary = 0;
  readonly #daemons: (Daemon | null)[] = [null, null];

  private constructor(programs: Programs, as: User, ports: readonly [number, number]) {
    this.#programs = programs;
    this.#as = as;
    this.#ports = ports;
  }

  /** Null where the programs are not installed. Resolves when each commit waits for the standby. */
  static async find(): Promise<PostgresPair | null> {
    const postgres = findProgram('postgres');
    if (postgres === null) return null;
    // Of the same version as that.
    const beside = path.dirname(realpathSync(postgres));
    const [initdb, pg_basebackup] = [findProgram('initdb', beside), findProgram('pg_basebackup', beside)];
    if (initdb === null || pg_basebackup === null) return null;
    const ports = [await freePort(), await freePort()] as const;
    const pair = new PostgresPair({ initdb, postgres, pg_basebackup }, await postgresUser(), ports);
    try {
      await pair.#startPrimary();
      await pair.renew();
    } catch (error) {
      await pair.stop('SIGKILL');
      throw error;
    }
    return pair;
  }

  /** These let `postgres` in without a password. */
  get primaryUrl(): string {
    return postgresUrl(this.#ports[this.#primary]!);
  }

  get standbyUrl(): string {
    return postgresUrl(this.#ports[1 - this.#primary]!);
  }

  /** Names both. */
  get url(): string {
    return `postgres://postgres@${this.#ports.map((port) => `${loopback}:${port}`).join()}/postgres`;
  }

  /** kill -9 of all of its processes at once, as when its machine loses its power. */
  async killPrimary(): Promise<void> {
    const daemon = this.#daemons[this.#primary];
    this.#daemons[this.#primary] = null;
    await daemon?.killWithChildren();
    await daemon?.stop();
  }

  /** From now on each commit waits, until `renew`. */
  async stopStandby(): Promise<void> {
    const place = 1 - this.#primary;
    const daemon = this.#daemons[place];
    this.#daemons[place] = null;
    await daemon?.stop('SIGINT');
  }

  /** Resolves when what was the standby takes changes; it is the primary from then on. */
  async promote(): Promise<void> {
    await ask(this.standbyUrl, 'SELECT pg_promote()');
    this.#primary = 1 - this.#primary;
  }

  /** Gives the primary a new standby, for which each commit waits. */
  async renew(): Promise<void> {
    const folder = await freshFolder(this.#as);
    const copy = ['-D', path.join(folder, 'data'), '-d', this.primaryUrl, '-R', '-X', 'stream', '-c', 'fast'];
    await run(this.#programs.pg_basebackup, [...copy, '--no-sync'], this.#as);
    await this.#startAt(1 - this.#primary, folder);
    // Only now, so that the standby's copy of the settings does not have it wait for itself.
    await ask(this.primaryUrl, `ALTER SYSTEM SET synchronous_standby_names = '*'`);
    await ask(this.primaryUrl, 'SELECT pg_reload_conf()');
    const state = 'SELECT sync_state FROM pg_stat_replication';
    await until(
      async () => (await ask(this.primaryUrl, state))[0]?.sync_state === 'sync',
      startMs,
      'a synchronous standby',
    );
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    // The standby first: without one the primary would wait for it with its last commits.
    for (const place of [1 - this.#primary, this.#primary]) await this.#daemons[place]?.stop(signal);
  }

  async #startPrimary(): Promise<void> {
    const folder = await freshFolder(this.#as);
    const options = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
    await run(this.#programs.initdb, ['-D', path.join(folder, 'data'), ...options], this.#as);
    await this.#startAt(this.#primary, folder);
    await letsIn(this.primaryUrl);
  }

  async #startAt(place: number, folder: string): Promise<void> {
    const port = this.#ports[place]!;
    const options = ['-D', path.join(folder, 'data'), '-p', `${port}`, '-k', folder, '-h', loopback];
    const { postgres } = this.#programs;
    this.#daemons[place] = await Daemon.start(postgres, [...options, ...quick], port, folder, this.#as);
  }
}

async function freshFolder({ uid, gid }: User): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'pg-'));
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
  return folder;
}

async function letsIn(url: string): Promise<void> {
  await until(
    () =>
      ask(url, 'SELECT 1').then(
        () => true,
        () => false,
      ),
    startMs,
    `a login at ${url}`,
  );
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = await postgresAt(url);
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
