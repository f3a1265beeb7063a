// 60,000 messages about one user while the service fails: Node-RED goes on answering, then and when the service is
// back, as it does with as many users.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { AudienceSite, assertNothingEscaped, nodeIds } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import type { FlowNode } from '../support/node-red';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, tell } from './measured';

const messages = 60_000;
const perRequest = 1_000;
const hotUser = '19999999999999999999';
const segment = 10001;
const drainMs = 90_000;

/** `POST many` sends so many messages of one entry each; `GET done` tells how many were done. */
const manyFlow: readonly FlowNode[] = [
  { id: 'many', type: 'http in', method: 'post', url: '/many', wires: [['make']] },
  {
    id: 'make',
    type: 'function',
    outputs: 2,
    func: `
      const { users, first, count } = msg.payload;
      const entry = (value) => ({ user_id: users[value % users.length], seg_block: [{ seg_id: ${segment}, value }] });
      return [Array.from({ length: count }, (_, at) => ({ payload: entry(first + at) })), msg];`,
    wires: [['hot'], ['response']],
  },
  {
    id: 'hot',
    type: 'xandr-instant-audience-out',
    account: nodeIds.account,
    input: 'payload',
    inputType: 'msg',
    completeOn: 'accepted',
    wires: [['count'], ['count']],
  },
  {
    id: 'count',
    type: 'function',
    outputs: 0,
    func: `if (!msg.audience.recovered) global.set('done', (global.get('done') ?? 0) + 1);`,
    wires: [],
  },
  { id: 'done', type: 'http in', method: 'get', url: '/done', wires: [['read']] },
  {
    id: 'read',
    type: 'function',
    outputs: 1,
    func: `msg.payload = { done: global.get('done') ?? 0 }; return msg;`,
    wires: [['response']],
  },
].map((node) => ({ z: nodeIds.tab, x: 100, y: 100, ...node }));

describe('a Node-RED with 60,000 messages about one user while the service fails', function () {
  this.timeout(400_000);
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let site: AudienceSite;

  before(async () => {
    sandbox = await StandAloneSandbox.start({ limits: 'none' });
    ends(() => sandbox.kill());
    site = await AudienceSite.make({
      serviceUrl: sandbox.url,
      limits: { postsPerSecond: 1_000, usersPerSecond: 20_000, maxConcurrent: 15 },
      moreNodes: manyFlow,
    });
    ends(() => site.close());
    await site.start();
  });

  /** The longest that Node-RED left a request without an answer, while this came in and until all was delivered. */
  async function longestWaitMs(users: readonly string[]): Promise<number> {
    await sandbox.setFaults([{ kind: 'status', status: 503 }]);
    const asking = new Asking(site);
    for (let first = 0; first < messages; first += perRequest) {
      const { status } = await site.running.post('many', { users, first, count: perRequest });
      assert.equal(status, 200);
    }
    await sleep(1_000);
    await sandbox.setFaults([]);
    await site.delivered(drainMs);
    const { answers, longestMs } = await asking.stop();
    tell(count(users.length, 'users'), count(answers, 'answers'), `at most ${longestMs.toFixed(0)} ms apart`);
    return longestMs;
  }

  it('stands still no longer than with as many users, and delivers the last of them', async () => {
    const many = Array.from({ length: messages }, (_, at) => `2${String(at).padStart(18, '0')}`);
    const withMany = await longestWaitMs(many);
    const withOne = await longestWaitMs([hotUser]);
    // Of the machine's other work each has its part; a history that is looked through takes 20 times as long.
    assert.ok(withOne <= 4 * withMany, `${withOne} ms with one user, ${withMany} ms with many`);
    const state = await sandbox.state();
    assert.equal(state.length, messages + 1);
    assert.equal(state.find(({ user_id }) => user_id === hotUser)?.value, messages - 1);
    assert.deepEqual(await site.running.json('done'), { done: 2 * messages });
    assert.equal((await site.stop()).code, 0);
    assert.equal(await site.queued(), 0);
    assertNothingEscaped(site.log);
  });
});

/** Asks for something small again and again. */
class Asking {
  answers = 0;
  longestMs = 0;
  private stopped = false;
  private readonly working: Promise<void>;

  constructor(private readonly site: AudienceSite) {
    this.working = this.work();
    this.working.catch(() => undefined);
  }

  private async work(): Promise<void> {
    while (!this.stopped) {
      const askedMs = performance.now();
      await this.site.running.json('done');
      this.answers += 1;
      this.longestMs = Math.max(this.longestMs, performance.now() - askedMs);
      await sleep(5);
    }
  }

  async stop(): Promise<this> {
    this.stopped = true;
    await this.working;
    return this;
  }
}
