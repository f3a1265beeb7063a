// A synced segment on a shared queue with three instances, of which the active one is killed in the middle of a run: time to the
// first post, and to the end of the run, memory, disk, and what live events of a standby wait meanwhile. The figures of
// docs/internals/sync.md come from here:
//
//     node --import tsx bench/shared-sync.ts [members]
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import type { Client } from 'pg';
import { schemaOf } from '../src/queue-postgres/postgres-schema';
import { startSandbox, type Sandbox } from '../src/sandbox/sandbox';
import { event, key, SharedInstance, userId } from '../test/sync/shared-instance';
import { findPostgres, freshPostgresDatabase, postgresAt } from '../test/support/services';
import { percentile } from './support/figures';
import { sleep } from './support/process';

const perPart = 1_000;
const perFill = 500_000;
const liveEveryMs = 25;
const lookEveryMs = 100;
const timeoutMs = 1_800_000;

type Order =
  | { readonly kind: 'take'; readonly from: number; readonly count: number }
  | { readonly kind: 'live' };

type Told =
  | { readonly kind: 'ready' | 'taken' | 'standby' }
  | { readonly kind: 'report'; readonly status: string }
  | { readonly kind: 'rss'; readonly idle: number; readonly highest: number }
  | { readonly kind: 'waited'; readonly ms: number };

/** One instance, in a process of its own. */
function instance([name, databaseUrl, serviceUrl]: readonly string[]): void {
  const tell = (told: Told): void => void process.send!(told);
  const its = new SharedInstance(name!, databaseUrl!, serviceUrl!, {});
  let reported = 0;
  let wasReady = false;
  let idle = 0;
  let highest = 0;
  setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss());
    if (its.isReady && !wasReady) tell({ kind: 'ready' });
    wasReady = its.isReady;
    while (reported < its.reports.length) tell({ kind: 'report', status: its.reports[reported++]!.status });
  }, 20);
  setInterval(() => tell({ kind: 'rss', idle, highest }), 500);
  const take = async (from: number, count: number): Promise<void> => {
    idle = highest = process.memoryUsage.rss();
    for (let index = 0; index * perPart < count; index += 1) {
      const users = Array.from({ length: perPart }, (_, at) => from + index * perPart + at);
      await its.takePart(users, index, count / perPart);
    }
    tell({ kind: 'taken' });
  };
  const live = async (): Promise<void> => {
    for (let number = 0; ; number += 1) {
      const atMs = performance.now();
      await its.submit(event(2_000_000_000 + number, 60), 'queued');
      tell({ kind: 'waited', ms: performance.now() - atMs });
      await sleep(liveEveryMs);
    }
  };
  process.on('message', (order: Order) => {
    const done = order.kind === 'take' ? take(order.from, order.count) : live();
    done.catch((error: unknown) => console.error(name, error));
  });
}

class Site {
  readonly told: (Told & { readonly atMs: number })[] = [];

  constructor(readonly process: ChildProcess) {
    process.on('message', (told: Told) => this.told.push({ ...told, atMs: performance.now() }));
  }

  static start(name: string, databaseUrl: string, serviceUrl: string): Site {
    return new Site(fork(__filename, [name, databaseUrl, serviceUrl], { execArgv: ['--import', 'tsx'] }));
  }

  order(order: Order): void {
    this.process.send(order);
  }

  async hears(kind: Told['kind'], afterMs = 0): Promise<number> {
    return when(() => this.told.find((one) => one.kind === kind && one.atMs >= afterMs)?.atMs ?? null);
  }

  /** Highest memory over idle since the last audience. */
  get memoryBytes(): number {
    const last = this.told.findLast((one) => one.kind === 'rss');
    return last?.kind === 'rss' ? last.highest - last.idle : 0;
  }

  waits(fromMs: number, toMs: number): number[] {
    return this.told.flatMap((one) =>
      one.kind === 'waited' && one.atMs >= fromMs && one.atMs <= toMs ? [one.ms] : [],
    );
  }

  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }
}

async function when<T>(look: () => T | null): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (let found = look(); ; found = look()) {
    if (found !== null) return found;
    if (performance.now() > endMs) throw new Error('It did not come to that.');
    await sleep(lookEveryMs);
  }
}

/** The table of an earlier run, as if the service had accepted every user. */
async function fill(client: Client, schema: string, members: number): Promise<number> {
  const nowMinutes = Math.floor(Date.now() / 60_000);
  for (let from = 0; from < members; from += perFill)
    await client.query(
      `INSERT INTO ${schema}.member (segment, key, state, since, value, expiration)
       SELECT s.id, ':' || (1000000000000 + n), 0, $1, NULL, 0 FROM ${schema}.synced AS s, generate_series($2::bigint, $3::bigint) AS n
       WHERE s.segment = $4`,
      [nowMinutes, from, Math.min(from + perFill, members) - 1, key],
    );
  await client.query(
    `INSERT INTO ${schema}.member_end (segment, ends, members) SELECT id, 0, $1 FROM ${schema}.synced WHERE segment = $2`,
    [members, key],
  );
  await client.query(`VACUUM ANALYZE ${schema}.member`);
  const { rows } = await client.query<{ bytes: number }>(
    `SELECT pg_total_relation_size('${schema}.member')::float8 AS bytes`,
  );
  return rows[0]!.bytes;
}

async function main(members: number): Promise<void> {
  const server = await findPostgres();
  if (server === null) throw new Error('There is no PostgreSQL.');
  const database = await freshPostgresDatabase(server, 'audience_bench_sync');
  const sandbox = await startSandbox({ authLimit: Infinity });
  const sites: Site[] = [];
  try {
    await measure(members, database.url, sandbox, sites);
  } finally {
    for (const site of sites) await site.end();
    await sandbox.close();
    await database.drop();
  }
}

async function measure(members: number, url: string, sandbox: Sandbox, sites: Site[]): Promise<void> {
  const tell = (what: string, figure: string): void => console.log(`${what}: ${figure}`);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const start = (): Site => {
    const site = Site.start(`instance ${sites.length + 1}`, url, sandbox.url);
    sites.push(site);
    return site;
  };
  tell('members, of which 1 % change', members.toLocaleString('en-US'));
  tell(
    'load',
    loadavg()
      .map((load) => load.toFixed(0))
      .join(' '),
  );
  const active = start();
  await active.hears('ready');
  const [other, standby] = [start(), start()];
  const schema = schemaOf({ origin: new URL(sandbox.url).origin, member: '1' });
  const client = await postgresAt(url);
  tell('disk a member', `${((await fill(client, schema, members)) / members).toFixed(0)} bytes`);
  standby.order({ kind: 'live' });
  await standby.hears('waited');
  await sleep(5_000);
  const startedMs = performance.now();
  const change = members / 100;
  active.order({ kind: 'take', from: change, count: members });
  const takenMs = await active.hears('taken');
  const firstPostMs = await when(() => (changes(sandbox, members) > 0 ? performance.now() : null));
  tell('gathered, in parts of 1,000', seconds(takenMs - startedMs));
  tell('last part → first post', seconds(firstPostMs - takenMs));
  tell('memory of the active instance over idle', mb(active.memoryBytes));
  await when(() => (changes(sandbox, members) > change / 2 ? true : null));
  active.process.kill('SIGKILL');
  const killedMs = performance.now();
  const next = await when(
    () => [other, standby].find(({ told }) => told.some(({ kind }) => kind === 'ready')) ?? null,
  );
  tell('kill → the next instance goes on', seconds((await next.hears('ready')) - killedMs));
  const endMs = await next.hears('report', killedMs);
  tell('last part → end of the run', seconds(endMs - takenMs));
  for (const [phase, from, to] of [
    ['before', 0, startedMs],
    ['while gathering', startedMs, takenMs],
    ['until the first post', takenMs, firstPostMs],
    ['until the kill', firstPostMs, killedMs],
    ['from the kill to the end', killedMs, endMs],
  ] as const) {
    const waits = standby.waits(from, to);
    const figures = `${percentile(waits, 0.99).toFixed(0)} ms, ${Math.max(...waits).toFixed(0)} ms`;
    tell(`a live event until it is stored, 99 % and longest, ${phase}`, figures);
  }
  const { rows } = await client.query<{ n: number }>(
    `SELECT count(*)::float8 AS n FROM ${schema}.member WHERE key < ':1001'`,
  );
  await client.end();
  tell('members in the table in the end', rows[0]!.n.toLocaleString('en-US'));
  tell(
    'load',
    loadavg()
      .map((load) => load.toFixed(0))
      .join(' '),
  );
}

/** Users who have joined: they are behind all others. */
function changes(sandbox: Sandbox, members: number): number {
  const first = userId(members);
  return sandbox
    .state()
    .filter(({ user_id: id }) => id >= first && id.length === first.length && id < userId(1_999_999_999))
    .length;
}

const [, , first, ...more] = process.argv;
if (process.send === undefined) void main(Number(first ?? 1_000_000));
else instance([first!, ...more]);
