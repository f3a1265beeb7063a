// Failover: the database of a shared queue is a primary with a synchronous standby. The primary is killed under
// load, and the standby promoted. The two instances find it as installations do: one has the names of both
// servers, the other an address that moves.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import type { Appended, Batch } from '../../src/queue/shared-log';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { until } from '../support/node-red';
import { PostgresPair } from '../support/postgres-pair';
import { assertQuotaKept } from '../support/quota';
import { Relay } from '../support/relay';
import { needService, postgresAt } from '../support/services';
import { SharedProcess } from '../support/shared-process';
import { count, since, tell } from '../process/measured';

/** Longer than an entry waits for the database before it is buffered on the machine. */
const goneMs = 2_500;
const aroundMs = 1_500;
const drainMs = 20_000;

/** Records up to which row the database has confirmed the commit. */
class WatchedLog extends PostgresLog {
  committedSeq = 0;

  override async append(batch: Batch): Promise<Appended> {
    const appended = await super.append(batch);
    if (appended.kind === 'appended') this.committedSeq = Math.max(this.committedSeq, appended.lastSeq);
    return appended;
  }
}

describe('a shared queue whose database fails over to a synchronous standby', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  const expected = new ExpectedAudience();
  const load = new EventLoad({
    expected,
    users: 240,
    clients: 16,
    pauseMs: 5,
    delivery: 'untilTaken',
    // Entries that two instances buffer at the same time have no order.
    sticky: true,
  });
  let pair: PostgresPair;
  let relay: Relay;
  let sandbox: Sandbox;
  let logs: WatchedLog[];
  let instanceSources: SharedProcess[];

  before(async function () {
    const found = await PostgresPair.find();
    needService(this, found, 'PostgreSQL with pg_basebackup');
    pair = found;
    ends(() => pair.stop());
    relay = await Relay.open(pair.primaryUrl);
    ends(() => relay.close());
    sandbox = await startSandbox({
      authLimit: Infinity,
      faults: [{ kind: 'latency', beforeMs: [0, 40], afterMs: [0, 40] }],
    });
    ends(() => sandbox.close());
    const moving = new URL(pair.primaryUrl);
    moving.port = new URL(relay.url).port;
    const { origin } = new URL(sandbox.url);
    logs = [pair.url, moving.href].map((url) => new WatchedLog({ url, origin, member: '1' }));
    instanceSources = [];
    for (const [index, log] of logs.entries()) {
      const instanceSource = await SharedProcess.start({
        name: `node-${index + 1}`,
        serviceUrl: sandbox.url,
        log,
      });
      instanceSources.push(instanceSource);
      ends(() => instanceSource.stop());
    }
    ends(() => load.discard());
    await someoneSends();
  });

  function someoneSends(): Promise<void> {
    return until(
      () => instanceSources.some(({ isSender }) => isSender),
      15_000,
      () => `a sender; ${told()}`,
    );
  }

  function committed(): number {
    return Math.max(...logs.map(({ committedSeq }) => committedSeq));
  }

  function told(): string {
    return JSON.stringify(instanceSources.map(({ lines }) => lines));
  }

  /** Content of the primary. */
  async function held(): Promise<{ last_seq: number; waiting: number }> {
    const client = await postgresAt(pair.primaryUrl);
    try {
      const { origin } = new URL(sandbox.url);
      const { rows } = await client.query<{ last_seq: number; waiting: number }>(
        `SELECT last_seq::int AS last_seq, waiting::int AS waiting FROM ${schemaOf({ origin, member: '1' })}.total`,
      );
      return rows[0]!;
    } finally {
      await client.end();
    }
  }

  it('loses no committed entry, and continues', async () => {
    const startedMs = performance.now();
    load.start(...instanceSources.map(({ eventsUrl }) => eventsUrl));
    await until(
      () => committed() > 300,
      drainMs,
      () => `committed rows; ${told()}`,
    );
    await pair.killPrimary();
    const committedBefore = committed();
    const before = load.counts.taken;
    const postsBefore = sandbox.operations().length;
    await sleep(goneMs);
    await pair.promote();
    assert.ok((await held()).last_seq >= committedBefore, 'what was committed is on the standby');
    relay.leadTo(pair.primaryUrl);
    const promotedMs = performance.now();
    await until(
      () => sandbox.operations().length > postsBefore + 100,
      15_000,
      () => `new posts; ${told()}`,
    );
    const tookMs = performance.now() - promotedMs;
    await sleep(aroundMs);
    await load.stop();
    assert.ok(load.counts.taken > before, 'events are taken again');
    await until(
      async () => instanceSources.every(({ kept }) => kept === 0) && (await held()).waiting === 0,
      drainMs,
      () => `an empty queue; ${told()}`,
    );
    const state = sandbox.state();
    assert.deepEqual(expected.differences(state), []);
    tell(
      count(load.counts.taken, 'events taken'),
      count(committedBefore, 'rows committed before the kill'),
      count(state.length, 'memberships as expected'),
      `posts again ${(tookMs / 1000).toFixed(1)} s after the promotion`,
      since(startedMs),
    );
  });

  it('never exceeded the quota', () => {
    assertQuotaKept(sandbox.peaks());
  });
});
