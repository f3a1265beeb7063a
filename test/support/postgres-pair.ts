// A PostgreSQL primary and its synchronous standby, both on this machine: the primary is killed, the standby promoted.
import { execFile } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
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

interface Programs {
  readonly initdb: string;
  readonly postgres: string;
  readonly pg_basebackup: string;
}

/** `stop()` it in the end, whatever happened. */
export class PostgresPair implements Service {
  readonly what = 'PostgreSQL primary with a standby that the test started';

  private constructor(
    private readonly primary: Daemon,
    private readonly standby: Daemon,
    /** Lets `postgres` in without a password. */
    readonly primaryUrl: string,
    readonly standbyUrl: string,
  ) {}

  /** Null where the programs are not installed. Resolves when each commit waits for the standby. */
  static async find(): Promise<PostgresPair | null> {
    const postgres = findProgram('postgres');
    if (postgres === null) return null;
    // Of the same version as that.
    const beside = path.dirname(realpathSync(postgres));
    const [initdb, pg_basebackup] = [findProgram('initdb', beside), findProgram('pg_basebackup', beside)];
    if (initdb === null || pg_basebackup === null) return null;
    return PostgresPair.start({ initdb, postgres, pg_basebackup });
  }

  private static async start({ initdb, postgres, pg_basebackup }: Programs): Promise<PostgresPair> {
    const as = await postgresUser();
    const [first, second] = [await freshFolder(as), await freshFolder(as)];
    const startAt = async (folder: string, port: number): Promise<Daemon> => {
      const options = ['-D', path.join(folder, 'data'), '-p', `${port}`, '-k', folder, '-h', loopback];
      return Daemon.start(postgres, [...options, ...quick], port, folder, as);
    };
    const data = path.join(first, 'data');
    await run(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'], as);
    const [port, standbyPort] = [await freePort(), await freePort()];
    const [primaryUrl, standbyUrl] = [postgresUrl(port), postgresUrl(standbyPort)];
    const primary = await startAt(first, port);
    try {
      await letsIn(primaryUrl);
      const copy = ['-D', path.join(second, 'data'), '-d', primaryUrl, '-R', '-X', 'stream', '-c', 'fast'];
      await run(pg_basebackup, [...copy, '--no-sync'], as);
      const standby = await startAt(second, standbyPort);
      const pair = new PostgresPair(primary, standby, primaryUrl, standbyUrl);
      try {
        await pair.waitForStandby();
        return pair;
      } catch (error) {
        await standby.stop('SIGKILL');
        throw error;
      }
    } catch (error) {
      await primary.stop('SIGKILL');
      await rm(second, { recursive: true, force: true });
      throw error;
    }
  }

  /** Only now, so that the standby's copy of the settings does not have it wait for itself. */
  private async waitForStandby(): Promise<void> {
    await ask(this.primaryUrl, `ALTER SYSTEM SET synchronous_standby_names = '*'`);
    await ask(this.primaryUrl, 'SELECT pg_reload_conf()');
    await until(
      async () =>
        (await ask(this.primaryUrl, 'SELECT sync_state FROM pg_stat_replication'))[0]?.sync_state === 'sync',
      startMs,
      () => 'a synchronous standby',
    );
  }

  /** kill -9 of all of its processes at once, as when its machine loses its power. */
  killPrimary(): Promise<void> {
    return this.primary.killWithChildren();
  }

  /** Resolves when the standby takes changes. */
  async promote(): Promise<void> {
    await ask(this.standbyUrl, 'SELECT pg_promote()');
  }

  async stop(): Promise<void> {
    await this.standby.stop('SIGINT');
    await this.primary.stop('SIGINT');
  }
}

async function freshFolder({ uid, gid }: { readonly uid?: number; readonly gid?: number }): Promise<string> {
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
    () => `a login at ${url}`,
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
