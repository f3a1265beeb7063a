// The systems that the examples are fed from: what runs on this machine, else what is installed, else one from npm.
import { execFile, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect as connectAmqp, type ChannelModel } from 'amqplib';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { until } from './node-red';

const run = promisify(execFile);
export const loopback = '127.0.0.1';
const startMs = 30_000;
const stopMs = 10_000;

/** `stop()` it in the end: what was started ends, what ran before goes on. */
export interface Service {
  /** For a person, such as `Mosquitto that runs here`. */
  readonly what: string;
  stop(): Promise<void>;
}

export interface Broker extends Service {
  readonly port: number;
}

export interface MessageQueue extends Service {
  /** Of a user that may make queues. */
  readonly url: string;
}

export interface Database extends Service {
  /** Of a user that may create tables; without a password. */
  readonly url: string;
}

/** A database of a test's own; `drop` it in the end. */
export interface OwnDatabase {
  readonly url: string;
  readonly drop: () => Promise<void>;
}

/** An MQTT broker that lets anybody in. */
export async function findBroker(port = 1883): Promise<Broker | null> {
  if (await answers(port)) return { what: 'broker that runs here', port, stop: nothing };
  const program = findProgram('mosquitto');
  return program === null ? embeddedBroker() : startMosquitto(program);
}

/** A PostgreSQL that lets `postgres` in without a password; there is none in npm. */
export async function findPostgres(port = 5432): Promise<Database | null> {
  const url = postgresUrl(port);
  if ((await answers(port)) && (await letsIn(() => postgresAt(url))))
    return { what: 'PostgreSQL that runs here', url, stop: nothing };
  const [initdb, program] = [findProgram('initdb'), findProgram('postgres')];
  return initdb !== null && program !== null ? startPostgres(initdb, program) : null;
}

/** A MariaDB that lets `root` in without a password; there is none in npm. */
export async function findMariaDb(port = 3306): Promise<Database | null> {
  const url = mariaDbUrl(port);
  if ((await answers(port)) && (await letsIn(() => mariaDbAt(url))))
    return { what: 'MariaDB that runs here', url, stop: nothing };
  const [make, program] = [findProgram('mariadb-install-db'), findProgram('mariadbd')];
  return make !== null && program !== null ? startMariaDb(make, program) : null;
}

/** A RabbitMQ that lets `guest` in from this machine; there is none in npm. */
export async function findRabbitMq(port = 5672): Promise<MessageQueue | null> {
  const url = amqpUrl(port);
  if ((await answers(port)) && (await letsIn(() => amqpAt(url))))
    return { what: 'RabbitMQ that runs here', url, stop: nothing };
  const program = findProgram('rabbitmq-server', '/usr/lib/rabbitmq/bin');
  return program === null ? null : startRabbitMq(program);
}

/** For a suite that needs a service: skips it where there is none, and says so. CI has to have them all. */
export function needService<S extends Service>(
  context: Mocha.Context,
  service: S | null,
  what: string,
): asserts service is S {
  if (service !== null) return;
  const inCi = process.env.CI !== undefined && process.env.CI !== 'false';
  if (inCi) throw new Error(`CI has no ${what}; what runs the tests there has to start it.`);
  console.log(`      no ${what} found, neither running nor installed: its tests are skipped`);
  context.skip();
}

/** What ends with a suite: see `cleanUps`. */
export type Ends = (end: () => Promise<unknown>) => void;

/** For a suite: a PostgreSQL. */
export async function somePostgres(context: Mocha.Context, ends: Ends): Promise<Database> {
  const server = await findPostgres();
  needService(context, server, 'PostgreSQL');
  ends(() => server.stop());
  return server;
}

/** The same with a database of the suite's own. */
export async function ownPostgres(context: Mocha.Context, ends: Ends, name: string): Promise<OwnDatabase> {
  const database = await freshPostgresDatabase(await somePostgres(context, ends), name);
  ends(() => database.drop());
  return database;
}

/** A database of its own in the server, dropped at the end. */
export function freshPostgresDatabase(server: Database, name: string): Promise<OwnDatabase> {
  return freshDatabase(server, name, postgresAt, ' WITH (FORCE)');
}

/** The same for MariaDB. */
export function freshMariaDbDatabase(server: Database, name: string): Promise<OwnDatabase> {
  return freshDatabase(server, name, mariaDbAt);
}

async function freshDatabase(
  server: Database,
  name: string,
  at: (url: string) => Promise<{ query(sql: string): Promise<unknown>; end(): Promise<void> }>,
  force = '',
): Promise<OwnDatabase> {
  const admin = async (sql: string): Promise<void> => {
    const client = await at(server.url);
    await client.query(sql);
    await client.end();
  };
  const drop = (): Promise<void> => admin(`DROP DATABASE IF EXISTS ${name}${force}`);
  await drop();
  await admin(`CREATE DATABASE ${name}`);
  return { url: withDatabase(server.url, name), drop };
}

export async function postgresAt(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  return client;
}

export function mariaDbAt(url: string): ReturnType<typeof createConnection> {
  return createConnection({ uri: url, connectTimeout: 5_000 });
}

export async function amqpAt(url: string): Promise<{ model: ChannelModel; end: () => Promise<void> }> {
  const model = await connectAmqp(url, { timeout: 5_000 });
  model.on('error', () => undefined); // The call that fails says so.
  return { model, end: () => model.close() };
}

// ── Installed ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function startMosquitto(program: string): Promise<Broker> {
  const [port, folder] = [await freePort(), await mkdtemp(path.join(tmpdir(), 'mosquitto-'))];
  const config = path.join(folder, 'mosquitto.conf');
  await writeFile(
    config,
    `listener ${port} ${loopback}\nallow_anonymous true\nmax_queued_messages 100000\npersistence false\n`,
  );
  const daemon = await Daemon.start(program, ['-c', config], port, folder);
  return { what: 'Mosquitto that the test started', port, stop: () => daemon.stop() };
}

async function startPostgres(initdb: string, program: string): Promise<Database> {
  const [port, folder] = [await freePort(), await mkdtemp(path.join(tmpdir(), 'pg-'))];
  const data = path.join(folder, 'data');
  const as = await postgresUser();
  if (as.uid !== undefined && as.gid !== undefined) await chown(folder, as.uid, as.gid);
  await run(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'], as);
  const options = ['-D', data, '-p', `${port}`, '-k', folder, '-h', loopback, '-F'];
  const daemon = await Daemon.start(program, options, port, folder, as);
  const url = postgresUrl(port);
  await until(() => letsIn(() => postgresAt(url)), startMs, `a login at ${url}`);
  return {
    what: 'PostgreSQL that the test started',
    url,
    stop: () => daemon.stop('SIGINT'),
  };
}

/** PostgreSQL refuses to run as root; where root runs the tests, its own user runs it. */
export async function postgresUser(): Promise<{ uid?: number; gid?: number; cwd: string }> {
  if (userInfo().uid !== 0) return { cwd: tmpdir() };
  const idOf = async (option: string): Promise<number> =>
    Number((await run('id', [option, 'postgres'])).stdout);
  return { uid: await idOf('-u'), gid: await idOf('-g'), cwd: tmpdir() };
}

async function startMariaDb(make: string, program: string): Promise<Database> {
  const [port, folder] = [await freePort(), await mkdtemp(path.join(tmpdir(), 'maria-'))];
  const data = path.join(folder, 'data');
  const owner = `--user=${userInfo().username}`;
  await run(make, [
    '--no-defaults',
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    owner,
  ]);
  const options = [
    '--no-defaults',
    `--datadir=${data}`,
    `--port=${port}`,
    `--bind-address=${loopback}`,
    owner,
  ];
  const files = [`--socket=${path.join(folder, 's')}`, `--pid-file=${path.join(folder, 'pid')}`];
  const daemon = await Daemon.start(program, [...options, ...files], port, folder);
  const url = mariaDbUrl(port, 'mysql');
  await until(() => letsIn(() => mariaDbAt(url)), startMs, `a login at ${url}`);
  return { what: 'MariaDB that the test started', url, stop: () => daemon.stop() };
}

/** A node of its own, with no plugin and none of what is configured for this machine. */
async function startRabbitMq(program: string): Promise<MessageQueue> {
  const [port, distPort] = [await freePort(), await freePort()];
  const folder = await mkdtemp(path.join(tmpdir(), 'rabbitmq-'));
  const file = (name: string): string => path.join(folder, name);
  await writeFile(file('rabbitmq.conf'), `listeners.tcp.local = ${loopback}:${port}\n`);
  await writeFile(file('plugins'), '[].\n');
  const env = {
    ...process.env,
    HOME: folder,
    RABBITMQ_NODENAME: `instant-audience-test-${port}@localhost`,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: file('rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: file('plugins'),
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_MNESIA_BASE: file('data'),
    RABBITMQ_LOG_BASE: file('log'),
    RABBITMQ_PID_FILE: file('pid'),
  };
  const daemon = await Daemon.start(program, [], port, folder, { env });
  return { what: 'RabbitMQ that the test started', url: amqpUrl(port), stop: () => daemon.stop() };
}

// ── From npm ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function embeddedBroker(): Promise<Broker> {
  const { Aedes } = await import('aedes');
  const aedes = await Aedes.createBroker();
  const server = createServer((socket) => void aedes.handle(socket));
  const port = await listen(server);
  const stop = async (): Promise<void> => {
    await promisify((done: () => void) => aedes.close(done))();
    await promisify((done: () => void) => server.close(done))();
  };
  return { what: 'embedded broker (aedes)', port, stop };
}

// ── Common ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a test left running, should it end without its hooks. */
const daemons = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of daemons) child.kill('SIGKILL');
});

/** A server program with files of its own. */
export class Daemon {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  /** Resolves when it listens on `port`. The folder is deleted when it stops. */
  static async start(
    program: string,
    args: readonly string[],
    port: number,
    folder: string,
    options: SpawnOptions = {},
  ): Promise<Daemon> {
    const child = spawn(program, [...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    daemons.add(child);
    child.once('exit', () => daemons.delete(child));
    let printed = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk));
    const daemon = new Daemon(child, folder);
    try {
      await until(
        async () => child.exitCode !== null || (await answers(port)),
        startMs,
        () => `${path.basename(program)} on port ${port}:\n${printed}`,
      );
      if (child.exitCode !== null) throw new Error(`${path.basename(program)} ended:\n${printed}`);
    } catch (error) {
      await daemon.stop('SIGKILL');
      throw error;
    }
    return daemon;
  }

  /** kill -9 of it and of all that it has started, without one of them noticing the end of another. */
  async killWithChildren(): Promise<void> {
    const { child } = this;
    const exited = once(child, 'exit');
    child.kill('SIGSTOP');
    for (const pid of await childrenOf(child.pid!)) process.kill(pid, 'SIGKILL');
    child.kill('SIGKILL');
    await exited;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(signal);
      const inTime = await Promise.race([exited, sleep(stopMs, null, { ref: false })]);
      if (inTime === null) child.kill('SIGKILL');
      await exited;
    }
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Of a process that does not go on meanwhile. */
async function childrenOf(pid: number): Promise<number[]> {
  // Not every Linux has a program that tells, and every other system has.
  if (process.platform !== 'linux') {
    const { stdout } = await run('pgrep', ['-P', `${pid}`]);
    return stdout.trim().split('\n').map(Number);
  }
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(
    all.map((each) =>
      readFile(`/proc/${each}/stat`, 'utf8').then(
        (stat) => Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2]),
        // It has ended.
        () => 0,
      ),
    ),
  );
  return all.filter((_, at) => parents[at] === pid);
}

async function nothing(): Promise<void> {
  // It ran before the tests and goes on.
}

export function postgresUrl(port: number): string {
  return `postgres://postgres@${loopback}:${port}/postgres`;
}

function mariaDbUrl(port: number, database = 'test'): string {
  return `mysql://root@${loopback}:${port}/${database}`;
}

function amqpUrl(port: number): string {
  return `amqp://${loopback}:${port}`;
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

async function letsIn(login: () => Promise<{ end(): Promise<void> }>): Promise<boolean> {
  try {
    await (await login()).end();
    return true;
  } catch {
    return false;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: loopback, timeout: 2_000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true)).once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

async function listen(server: Server): Promise<number> {
  server.listen(0, loopback);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await promisify((done: () => void) => server.close(done))();
  return port;
}

/** A program on the path or where Linux distributions put servers; the newest of several versions. */
export function findProgram(program: string, first = ''): string | null {
  const versioned = '/usr/lib/postgresql';
  const versions = existsSync(versioned) ? readdirSync(versioned).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(first === '' ? [] : [first]),
    ...(process.env.PATH ?? '').split(path.delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    ...versions.map((version) => path.join(versioned, version, 'bin')),
  ];
  const files = folders.map((folder) => path.join(folder, program));
  return files.find((file) => existsSync(file)) ?? null;
}
