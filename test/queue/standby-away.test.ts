// Shared queue whose database is a primary without its synchronous standby: every commit waits for the standby,
// and each timeout leaves a backend behind. Three instances share the queue, with the documented number of
// connections.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { until } from '../support/node-red';
import { PostgresPair } from '../support/postgres-pair';
import { needService, postgresAt } from '../support/services';
import { SharedProcess } from '../support/shared-process';
import { count, since, tell } from '../process/measured';

/** docs/several-machines.md: twice the four of the active instance and the three of each other. */
const mostConnections = 2 * (4 + 3 + 3);
const awayMs = 20_000;
const lookMs = 100;
const drainMs = 30_000;

describe(`a shared queue whose synchronous standby is away for ${awayMs / 1000} s`, function () {
  this.timeout(awayMs + 120_000);
  const ends = cleanUps();
  const expected = new ExpectedAudience();
  const load = new EventLoad({
    expected,
    users: 60,
    clients: 6,
    pauseMs: 20,
    delivery: 'untilTaken',
    sticky: true,
  });
  let pair: PostgresPair;
  let sandbox: Sandbox;
  const instanceSources: SharedProcess[] = [];

  before(async function () {
    const found = await PostgresPair.find();
    needService(this, found, 'PostgreSQL with pg_basebackup');
    pair = found;
    ends(() => pair.stop());
    sandbox = await startSandbox({ authLimit: Infinity });
    ends(() => sandbox.close());
    for (const name of ['node-1', 'node-2', 'node-3']) {
      const log = new PostgresLog({
        url: pair.primaryUrl,
        origin: new URL(sandbox.url).origin,
        member: '1',
      });
      const instanceSource = await SharedProcess.start({ name, serviceUrl: sandbox.url, log });
      instanceSources.push(instanceSource);
      ends(() => instanceSource.stop());
    }
    ends(() => load.discard());
  });

  const told = (): string => JSON.stringify(instanceSources.map(({ lines }) => lines));

  it('uses no more connections than documented, and continues when the standby is back', async () => {
    const startedMs = performance.now();
    load.start(...instanceSources.map(({ eventsUrl }) => eventsUrl));
    await until(
      () => sandbox.operations().length > 50,
      drainMs,
      () => `posts; ${told()}`,
    );
    const watch = await postgresAt(pair.primaryUrl);
    const connections = async (): Promise<number> => {
      const { rows } = await watch.query<{ many: number }>(
        `SELECT count(*)::int AS many FROM pg_stat_activity WHERE application_name = 'instant audience'`,
      );
      return rows[0]!.many;
    };
    let most = 0;
    let postsBefore = 0;
    await pair.stopStandby();
    try {
      const untilMs = performance.now() + awayMs;
      while (performance.now() < untilMs) {
        most = Math.max(most, await connections());
        assert.ok(most <= mostConnections, `${most} connections; ${told()}`);
        await sleep(lookMs);
      }
      postsBefore = sandbox.operations().length;
    } finally {
      await watch.end();
      // Without the standby nothing would ever end.
      await pair.renew();
    }
    await until(
      () => sandbox.operations().length > postsBefore + 50,
      drainMs,
      () => `new posts; ${told()}`,
    );
    await load.stop();
    await until(
      () =>
        instanceSources.every(({ kept }) => kept === 0) && expected.differences(sandbox.state()).length === 0,
      drainMs,
      () => `the audience; ${JSON.stringify(expected.differences(sandbox.state()))} ${told()}`,
    );
    tell(count(load.counts.taken, 'events taken'), count(most, 'connections at the most'), since(startedMs));
  });
});
