// A table of changes through “database to audience”, as imported, with a transaction that commits late, and killed.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUps } from '../support/clean-up';
import { until, type FlowNode } from '../support/node-red';
import { needService, type Database, type OwnDatabase } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import {
  count,
  device,
  ExampleSite,
  lines,
  nodeOf,
  readExample,
  report,
  settled,
  setVariable,
  useSandboxAt,
} from './support';

/** One connection; what the two drivers have in common. */
export interface Connection {
  readonly query: (sql: string) => Promise<unknown>;
  readonly end: () => Promise<void>;
}

export interface Kind {
  readonly example: string;
  readonly name: string;
  /** The driver that the example's functions use. */
  readonly module: string;
  readonly find: () => Promise<Database | null>;
  readonly fresh: (server: Database, name: string) => Promise<OwnDatabase>;
  readonly connect: (url: string) => Promise<Connection>;
  /** Begins a transaction. */
  readonly begin: string;
}

interface Change {
  readonly user: string;
  readonly segment: number;
  readonly action: 'add' | 'remove';
}

const waitMs = 20_000;

export function databaseToAudience(kind: Kind): void {
  const ends = cleanUps();
  let server: Database;

  before(async function () {
    const found = await kind.find();
    needService(this, found, kind.name);
    server = found;
    ends(() => server.stop());
  });

  /** The example on a database of its own, and a connection to it. */
  const prepare = async (
    name: string,
  ): Promise<{ flow: FlowNode[]; connection: Connection; url: string }> => {
    const own = await kind.fresh(server, `${name}_${process.pid}`);
    ends(own.drop);
    const flow = readExample(kind.example);
    setVariable(flow, 'DATABASE_URL', own.url);
    const connection = await kind.connect(own.url);
    ends(connection.end);
    return { flow, connection, url: own.url };
  };

  /** As its button makes them, but empty. */
  const makeTables = async (site: ExampleSite, flow: FlowNode[], connection: Connection): Promise<void> => {
    await site.press(nodeOf(flow, 'inject', 'try: make the tables'));
    await until(
      () =>
        connection.query('DELETE FROM audience_changes').then(
          () => true,
          () => false,
        ),
      waitMs,
      () => 'the tables',
    );
  };

  it('delivers a table page by page, and goes on with what is added', async () => {
    const startedMs = performance.now();
    const { flow, connection, url } = await prepare('audience_pages');
    const site = await ExampleSite.start(flow, { modules: [kind.module] });
    ends(() => site.close());
    await makeTables(site, flow, connection);
    const comms = await site.running.comms();
    const changes = someChanges(5_000, 2_500);
    await insert(connection, changes);
    await settled(() => site.sandboxState(), heldAfter(changes), waitMs);
    const later = [...changes, ...someChanges(500, 300).reverse()];
    await insert(connection, later.slice(changes.length));
    const expected = heldAfter(later);
    await settled(() => site.sandboxState(), expected, waitMs);
    assert.deepEqual(await nextPages(comms.on(`status/${nodeOf(flow, 'function', 'next page').id}`)), true);
    comms.close();
    report(
      server.what,
      count(later.length, 'rows'),
      count(expected.length, 'memberships as expected'),
      startedMs,
    );
    if (server.concurrent) await missesNoLateCommit(kind, url, site, heldAfter(later));
  });

  it('misses nothing when Node-RED is killed in the middle, again and again', async () => {
    const startedMs = performance.now();
    const { flow, connection } = await prepare('audience_kills');
    const sandbox = await StandAloneSandbox.start({
      faults: [{ kind: 'latency', beforeMs: [0, 20], afterMs: [0, 20] }],
    });
    ends(() => sandbox.kill());
    useSandboxAt(nodeOf(flow, 'instant-audience-account'), sandbox.url);
    setVariable(flow, 'PAGE_ROWS', '100');
    const site = await ExampleSite.start(flow, { modules: [kind.module] });
    ends(() => site.close());
    await makeTables(site, flow, connection);
    const changes = someChanges(6_000, 1_500);
    await insert(connection, changes);
    const expected = heldAfter(changes);
    const killedAt: number[] = [];
    for (const share of [0.2, 0.5]) {
      await until(
        async () => (await sandbox.peaks()).totals.users > changes.length * share,
        waitMs,
        () => `${share * 100} % of the rows`,
      );
      await site.kill();
      killedAt.push((await sandbox.state()).length);
      await site.startAgain();
    }
    assert.notDeepEqual(lines(await sandbox.state()), [...expected].sort(), 'it was killed before its end');
    await settled(() => sandbox.state(), expected, waitMs);
    // What was read again must not bring back what later rows have changed.
    await site.delivered(nodeOf(flow, 'instant-audience-out'), waitMs);
    await settled(() => sandbox.state(), expected, waitMs);
    const { totals } = await sandbox.peaks();
    assert.equal(totals.rateLimited, 0);
    report(
      `${server.what}, killed with ${killedAt.join(' and ')} memberships there`,
      count(changes.length, 'rows'),
      `${count(expected.length, 'memberships as expected')}, nothing missing`,
      startedMs,
    );
  });
}

/** A row whose id was taken first and whose transaction commits last is read all the same. */
async function missesNoLateCommit(
  kind: Kind,
  url: string,
  site: ExampleSite,
  before: readonly string[],
): Promise<void> {
  const [early, late] = [device(70_001), device(70_002)];
  const [first, second] = [await kind.connect(url), await kind.connect(url)];
  try {
    await first.query(kind.begin);
    await insert(first, [{ user: early, segment: 10_001, action: 'add' }]);
    await insert(second, [{ user: late, segment: 10_001, action: 'add' }]);
    // Several reads of the next page fall into this time.
    await sleep(3_000);
    await first.query('COMMIT');
    await settled(() => site.sandboxState(), [...before, `10001 ${early}`, `10001 ${late}`], waitMs);
  } finally {
    await first.end();
    await second.end();
  }
}

/** Whether the status told of a position more than once. */
function nextPages(said: readonly { text?: string }[]): boolean {
  return said.filter(({ text }) => /^up to \d+$/.test(text ?? '')).length > 1;
}

/** The same in every run; users come again, in other segments and to leave. */
function someChanges(number: number, users: number): Change[] {
  return Array.from({ length: number }, (_, n) => ({
    user: device((n * 7_919) % users),
    segment: 10_001 + (n % 3),
    action: (n * 31) % 10 < 7 ? 'add' : 'remove',
  }));
}

function heldAfter(changes: readonly Change[]): string[] {
  const held = new Map<string, boolean>();
  for (const { segment, user, action } of changes) held.set(`${segment} ${user}`, action === 'add');
  return [...held].filter(([, isIn]) => isIn).map(([line]) => line);
}

async function insert(connection: Connection, changes: readonly Change[]): Promise<void> {
  const rows = changes.map(({ user, segment, action }) => `('${user}', 'idfa', ${segment}, '${action}')`);
  for (let from = 0; from < rows.length; from += 1_000) {
    const values = rows.slice(from, from + 1_000).join(', ');
    await connection.query(
      `INSERT INTO audience_changes (user_id, id_type, segment, action) VALUES ${values}`,
    );
  }
}
