// The database of a shared queue vanishes without a word, with a commit under way: connections stay, nothing comes back. The
// account is then given another queue.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { AudienceSite, assertNothingEscaped, audienceFlow, nodeIds } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { until, type FlowNode } from '../support/node-red';
import { Relay } from '../support/relay';
import { somePostgres, freshPostgresDatabase } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { since, tell } from './measured';

const aroundMs = 1_500;
const deliveredMs = 20_000;
const userId = '123456';
const names = [`audience_vanished_${process.pid}`, `audience_another_${process.pid}`];

describe('a shared queue whose database vanishes without a word', function () {
  this.timeout(120_000);
  const ends = cleanUps();
  const relays: Relay[] = [];
  let sandbox: StandAloneSandbox;
  let site: AudienceSite;

  before(async function () {
    const server = await somePostgres(this, ends);
    sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    for (const name of names) {
      const database = await freshPostgresDatabase(server, name);
      ends(() => database.drop());
      const relay = await Relay.open(database.url);
      relays.push(relay);
      ends(() => relay.close());
    }
    site = await AudienceSite.make({
      serviceUrl: sandbox.url,
      databaseUrl: urlOf(0),
      name: 'node-1',
    });
    ends(() => site.close());
    await site.start();
  });

  function urlOf(database: 0 | 1): string {
    const port = new URL(relays[database]!.url).port;
    return `postgres://postgres@127.0.0.1:${port}/${names[database]}`;
  }

  /** Until a commit is under way for certain: each reply of the service makes one. */
  async function vanishUnderLoad(relay: Relay): Promise<void> {
    const load = new EventLoad({
      expected: new ExpectedAudience(),
      users: 100,
      clients: 4,
      pauseMs: 5,
      answerMs: 1_000,
      delivery: 'untilTaken',
    });
    ends(() => load.discard());
    load.start(site.eventsUrl);
    await until(
      () => load.counts.taken > 100,
      deliveredMs,
      () => `events taken; log:\n${site.log}`,
    );
    relay.silence();
    await sleep(aroundMs);
    await load.discard();
  }

  /** What is taken now is delivered. */
  async function deliver(value: number): Promise<void> {
    const entry = { user_id: userId, domain: null, seg_block: [{ seg_id: 10_001, value, expiration: 60 }] };
    const { status } = await site.running.post('events', [entry]);
    assert.equal(status, 202, site.log);
    await until(
      async () => (await sandbox.state()).some((one) => one.user_id === userId && one.value === value),
      deliveredMs,
      () => `the new event at the service; log:\n${site.log}`,
    );
  }

  async function deploy(databaseUrl?: string): Promise<void> {
    const flow = audienceFlow({ serviceUrl: sandbox.url, ...(databaseUrl !== undefined && { databaseUrl }) });
    const credentials = {
      username: 'jane',
      password: 'secret',
      ...(databaseUrl !== undefined && { databaseUrl }),
    };
    const changed = flow.map((node): FlowNode =>
      node.id === nodeIds.account ? { ...node, credentials } : node,
    );
    await site.running.deploy(changed, 'nodes');
  }

  it('delivers new entries after another database is named', async () => {
    await vanishUnderLoad(relays[0]!);
    const startedMs = performance.now();
    await deploy(urlOf(1));
    await deliver(1);
    tell(`another database took over after ${since(startedMs)}`);
  });

  it('delivers new entries after the queue is put on disk', async () => {
    await vanishUnderLoad(relays[1]!);
    const startedMs = performance.now();
    await deploy();
    await deliver(2);
    tell(`a queue on disk took over after ${since(startedMs)}`);
  });

  it('leaves no error behind', async () => {
    assert.equal((await site.stop()).code, 0);
    assertNothingEscaped(site.log);
  });
});
