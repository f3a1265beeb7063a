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
  heldAfter,
  lines,
  nodeOf,
  readExample,
  report,
  settled,
  setVariable,
  someEvents,
  type Event,
  useSandboxAt,
} from './support';

/** One connection; what the two drivers have in common. */
interface Connection {
  /** Gives the rows of a SELECT. */
  readonly query: (sql: string) => Promise<readonly unknown[]>;
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
  /** When Node-RED is killed: at these shares of the rows. */
  readonly killAt: readonly number[];
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
    // A page that fails is read again sooner than a person would have it.
    nodeOf(flow, 'delay', 'again after 2 s').timeout = '1';
    const connection = await kind.connect(own.url);
    ends(connection.end);
    return { flow, connection, url: own.url };
  };

  it('delivers a table page by page, continues with new rows, and misses no late commit', async () => {
    const startedMs = performance.now();
    const { flow, connection, url } = await prepare('audience_pages');
    const site = await ExampleSite.start(flow, { modules: [kind.module] });
    ends(() => site.close());
    const comms = await site.running.comms();
    await makeTables(site, flow, connection);
    await settled(() => site.sandboxState(), heldAfter(await changesIn(connection)), waitMs);
    await insert(connection, someEvents(500, 300));
    await settled(() => site.sandboxState(), heldAfter(await changesIn(connection)), waitMs);
    if (server.concurrent) await commitLate(kind, url);
    const changes = await changesIn(connection);
    const expected = heldAfter(changes);
    await settled(() => site.sandboxState(), expected, waitMs);
    const positions = comms
      .on(`status/${nodeOf(flow, 'function', 'next page').id}`)
      .filter(({ text }) => /^up to \d+$/.test(text));
    assert.ok(positions.length > 1, 'the status shows positions');
    comms.close();
    // Not beside the next test, which an embedded server gives the same database.
    await site.close();
    report(
      kind.example,
      server.what,
      count(changes.length, 'rows'),
      count(expected.length, 'memberships as expected'),
      startedMs,
    );
  });

  it('misses nothing when Node-RED is killed in the middle', async () => {
    const startedMs = performance.now();
    const { flow, connection } = await prepare('audience_kills');
    const sandbox = await StandAloneSandbox.start({
      faults: [{ kind: 'latency', beforeMs: [0, 20], afterMs: [0, 20] }],
    });
    ends(() => sandbox.kill());
    useSandboxAt(nodeOf(flow, 'xandr-account'), sandbox.url);
    setVariable(flow, 'PAGE_ROWS', '60');
    const site = await ExampleSite.start(flow, { modules: [kind.module] });
    ends(() => site.close());
    await makeTables(site, flow, connection);
    const changes = await changesIn(connection);
    const expected = heldAfter(changes);
    const killedAt: number[] = [];
    for (const share of kind.killAt) {
      await until(
        async () => (await sandbox.peaks()).totals.users > changes.length * share,
        waitMs,
        () => `${share * 100} % of the rows`,
      );
      await site.kill();
      const state = lines(await sandbox.state());
      assert.notDeepEqual(state, [...expected].sort(), 'it was killed before its end');
      killedAt.push(state.length);
      await site.startAgain();
    }
    await settled(() => sandbox.state(), expected, waitMs);
    // What was read again must not bring back what later rows have changed.
    await site.delivered(nodeOf(flow, 'xandr-instant-audience-out'), waitMs);
    await settled(() => sandbox.state(), expected, waitMs);
    const { totals } = await sandbox.peaks();
    assert.equal(totals.rateLimited, 0);
    report(
      kind.example,
      `${server.what}, killed with ${killedAt.join(' and ')} memberships there`,
      count(changes.length, 'rows'),
      `${count(expected.length, 'memberships as expected')}, nothing missing`,
      startedMs,
    );
  });
}

/** Presses the button, which fills them, too. */
async function makeTables(site: ExampleSite, flow: FlowNode[], connection: Connection): Promise<void> {
  await site.press(nodeOf(flow, 'inject', 'try: make the tables'));
  await until(
    () =>
      changesIn(connection).then(
        ({ length }) => length === 3_000,
        () => false,
      ),
    waitMs,
    'a table with 3,000 changes',
  );
}

/** A row whose id is taken first, and whose transaction commits after pages were read. */
async function commitLate(kind: Kind, url: string): Promise<void> {
  const [first, second] = [await kind.connect(url), await kind.connect(url)];
  try {
    await first.query(kind.begin);
    await insert(first, [{ user: device(70_001), segment: 10_001, action: 'add' }]);
    await insert(second, [{ user: device(70_002), segment: 10_001, action: 'add' }]);
    await sleep(1_500);
    await first.query('COMMIT');
  } finally {
    await first.end();
    await second.end();
  }
}

async function changesIn(connection: Connection): Promise<Event[]> {
  const rows = await connection.query('SELECT user_id, segment, action FROM audience_changes ORDER BY id');
  return (rows as (Omit<Event, 'user'> & { user_id: string })[]).map(({ user_id: user, ...rest }) => ({
    user,
    ...rest,
  }));
}

async function insert(connection: Connection, changes: readonly Event[]): Promise<void> {
  const rows = changes.map(({ user, segment, action }) => `('${user}', 'idfa', ${segment}, '${action}')`);
  for (let from = 0; from < rows.length; from += 1_000) {
    const values = rows.slice(from, from + 1_000).join(', ');
    await connection.query(
      `INSERT INTO audience_changes (user_id, id_type, segment, action) VALUES ${values}`,
    );
  }
}
