// “keep a segment”: a CSV file, MariaDB and PostgreSQL, each with its real source in one Node-RED. It is killed in the middle of the
// runs, runs again with changes, and once more with sources that fail.
import { strict as assert } from 'node:assert';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until, type CommsLog, type FlowNode } from '../support/node-red';
import {
  findMariaDb,
  findProgram,
  freshMariaDbDatabase,
  freshPostgresDatabase,
  mariaDbAt,
  needService,
  postgresAt,
  somePostgres,
  type Database,
  type Ends,
} from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, ExampleSite, lines, nodeOf, readExample, report, settled, useSandboxAt } from './support';

const waitMs = 20_000;
/** After a kill, what was in flight keeps its share of the quota for so long: its requests may still run. */
const lateMarginMs = 20_000;
/** Few, so that a kill finds each run in the middle. */
const usersPerSecond = 40;

/** A row of the source. */
interface Row {
  readonly id: string;
  readonly value: number;
}

/** Where the rows of an example come from. */
interface Source {
  readonly what: string;
  /** Its buttons that make 100 rows, change them, and run the query; null where the first two also run it. */
  readonly buttons: { readonly make: string; readonly change: string; readonly run: string | null };
  readonly rows: () => Promise<readonly Row[]>;
  readonly breakIt: () => Promise<void>;
  /** The reason that the source gives afterwards. */
  readonly reason: RegExp;
}

interface Kept {
  readonly flow: FlowNode[];
  readonly segment: string;
  readonly source: Source;
}

describe('keep a segment', function () {
  this.timeout(lateMarginMs + 90_000);
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let site: ExampleSite;
  let comms: CommsLog;
  let all: Kept[];
  let startedMs = 0;
  let killedWith: number[];

  before(async function () {
    const mariaDb = await findMariaDb();
    needService(this, mariaDb, 'MariaDB');
    ends(() => mariaDb.stop());
    const postgres = await somePostgres(this, ends);
    needService(this, findProgram('psql') === null ? null : postgres, 'psql');
    sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    const flows = {
      csv: readExample('keep a segment (CSV)'),
      mariaDb: readExample('keep a segment (MariaDB)'),
      postgres: readExample('keep a segment (PostgreSQL)'),
    };
    // The examples of CSV and PostgreSQL use the same file.
    nodeOf(flows.csv, 'file in').filename = nodeOf(flows.csv, 'file').filename = 'export.csv';
    const fromMariaDb = await mariaDbSource(mariaDb, flows.mariaDb, ends);
    const fromPostgres = await postgresSource(postgres, flows.postgres, ends);
    for (const flow of Object.values(flows))
      useSandboxAt(nodeOf(flow, 'xandr-account'), sandbox.url, { usersPerSecond });
    site = await ExampleSite.start(Object.values(flows).flat(), { modules: ['node-red-node-mysql'] });
    ends(() => site.close());
    const csv = csvSource(path.join(site.userDir, 'export.csv'));
    const kept = (flow: FlowNode[], source: Source): Kept => ({
      flow,
      segment: String(nodeOf(flow, 'xandr-audience-sync').segment),
      source,
    });
    all = [kept(flows.csv, csv), kept(flows.mariaDb, fromMariaDb), kept(flows.postgres, fromPostgres)];
    comms = await site.running.comms();
  });

  const press = (flow: FlowNode[], button: string): Promise<void> =>
    site.press(nodeOf(flow, 'inject', button));
  /** What went to a debug node of the example. */
  const told = ({ flow }: Kept, name: 'reports' | 'refused'): any[] =>
    comms
      .on('debug')
      .filter(({ id }) => id === nodeOf(flow, 'debug', name).id)
      .map(({ msg }) => JSON.parse(msg));
  const expected = async (): Promise<string[]> => {
    const each = all.map(async ({ segment, source }) =>
      (await source.rows()).map(({ id, value }) => `${segment} ${id} ${value}`),
    );
    return (await Promise.all(each)).flat();
  };
  /** Makes or changes the rows, waits until they are there, and runs the query. */
  const run = async (what: 'make' | 'change'): Promise<void> => {
    await Promise.all(
      all.map(async ({ flow, source }) => {
        const before = JSON.stringify(await source.rows());
        await press(flow, source.buttons[what]);
        await until(
          async () => {
            const rows = await source.rows();
            return rows.length === 100 && JSON.stringify(rows) !== before;
          },
          waitMs,
          () => `100 other rows in ${source.what}; log:\n${site.log}`,
        );
        if (source.buttons.run !== null) await press(flow, source.buttons.run);
      }),
    );
  };
  const reported = (name: 'reports' | 'refused', timeoutMs: number): Promise<void> =>
    until(
      () => all.every((kept) => told(kept, name).length > 0),
      timeoutMs,
      () => `${name} of ${all.map((kept) => told(kept, name).length).join(', ')}; log:\n${site.log}`,
    );

  it('is carried out to its end after kill −9 in the middle', async () => {
    startedMs = performance.now();
    await run('make');
    let state: string[] = [];
    const membersOf = ({ segment }: Kept): number =>
      state.filter((line) => line.startsWith(`${segment} `)).length;
    await until(
      async () => {
        state = lines(await sandbox.state());
        return all.every((kept) => membersOf(kept) > 0);
      },
      waitMs,
      () => `members of each segment instead of ${all.map(membersOf).join(', ')}; log:\n${site.log}`,
    );
    comms.close();
    await site.kill();
    state = lines(await sandbox.state());
    killedWith = all.map(membersOf);
    assert.ok(state.length < 300, `${state.length} members when it was killed`);
    await site.startAgain();
    comms = await site.running.comms();
    const want = await expected();
    assert.equal(want.length, 300);
    await settled(() => sandbox.state(), want, lateMarginMs + waitMs);
    await reported('reports', lateMarginMs + waitMs);
    for (const kept of all) {
      const { status, added, invalid } = told(kept, 'reports')[0];
      assert.deepEqual([status, added, invalid], ['ended', 100, 0], kept.source.what);
    }
  });

  it('sends only what changed in the next run', async () => {
    comms.received.splice(0);
    await run('change');
    await settled(() => sandbox.state(), await expected(), waitMs);
    await reported('reports', waitMs);
    for (const kept of all) {
      const { added, removed, changed, unchanged } = told(kept, 'reports')[0];
      assert.deepEqual([added, removed, changed, unchanged], [5, 5, 5, 90], kept.source.what);
    }
    const { totals } = await sandbox.peaks();
    assert.equal(totals.rateLimited, 0);
    for (const [index, { flow, source }] of all.entries())
      report(
        nodeOf(flow, 'tab').label as string,
        `${source.what}, killed with ${killedWith[index]} members`,
        '2 runs of 100 rows',
        count(100, 'memberships as expected'),
        startedMs,
      );
  });

  it('changes nothing if the source fails, and says why', async () => {
    const want = await expected();
    for (const { flow, source } of all) {
      await source.breakIt();
      await press(flow, source.buttons.run ?? 'run the query');
    }
    await reported('refused', waitMs);
    for (const kept of all) {
      const [{ status, removed, refused }, ...others] = told(kept, 'refused');
      assert.deepEqual([status, removed, refused.code, others], ['refused', 0, 'source_failed', []]);
      assert.match(refused.message, /^The source reported an error, so nothing was changed: /);
      assert.match(refused.message, kept.source.reason);
    }
    await settled(() => sandbox.state(), want, waitMs);
  });
});

function csvSource(file: string): Source {
  return {
    what: 'a CSV file',
    buttons: { make: 'try: write 100 users', change: 'try: 5 left, 5 joined', run: 'read the file' },
    rows: async () => {
      const text = await readFile(file, 'utf8').catch(() => '');
      const written = text.split('\n').slice(1, -1);
      return written.map((line) => ({ id: line.split(',')[0]!, value: Number(line.split(',')[1]) }));
    },
    breakIt: () => rm(file),
    reason: /no such file/,
  };
}

async function mariaDbSource(server: Database, flow: FlowNode[], ends: Ends): Promise<Source> {
  const own = await freshMariaDbDatabase(server, `audience_keep_${process.pid}`);
  ends(own.drop);
  const { port, pathname } = new URL(own.url);
  Object.assign(nodeOf(flow, 'MySQLdatabase'), { port, db: pathname.slice(1) });
  const connection = await mariaDbAt(own.url);
  ends(() => connection.end());
  return {
    what: server.what,
    buttons: { make: 'try: make 100 users', change: 'try: 5 left, 5 joined', run: 'run the query' },
    rows: () => tableRows(async (sql) => (await connection.query(sql))[0]),
    breakIt: async () => void (await connection.query('DROP TABLE audience')),
    reason: /audience' doesn't exist/,
  };
}

async function postgresSource(server: Database, flow: FlowNode[], ends: Ends): Promise<Source> {
  const own = await freshPostgresDatabase(server, `audience_keep_${process.pid}`);
  ends(own.drop);
  const query = nodeOf(flow, 'exec');
  assert.equal(query.command, 'psql postgres://postgres@127.0.0.1/postgres');
  query.command = `psql ${own.url}`;
  const connection = await postgresAt(own.url);
  ends(() => connection.end());
  return {
    what: server.what,
    buttons: { make: 'try: make 100 users', change: 'try: 5 left, 5 joined', run: null },
    rows: () => tableRows(async (sql) => (await connection.query(sql)).rows),
    breakIt: async () => void (await connection.query('DROP TABLE audience')),
    reason: /relation "audience" does not exist/,
  };
}

/** None before the example has made the table. */
async function tableRows(query: (sql: string) => Promise<unknown>): Promise<Row[]> {
  try {
    return (await query('SELECT CAST(id AS CHAR(20)) AS id, value FROM audience ORDER BY id')) as Row[];
  } catch {
    return [];
  }
}
