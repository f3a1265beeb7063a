// “scores to values”, fed by a button: the value is the band of the last score, and low scores are out.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import {
  count,
  debugs,
  device,
  ExampleSite,
  inParallel,
  nodeOf,
  readExample,
  report,
  settled,
} from './support';

const users = 400;
const waitMs = 15_000;

describe('scores to values', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  const flow = readExample('scores to values');
  let site: ExampleSite;

  before(async () => {
    site = await ExampleSite.start(flow);
    ends(() => site.close());
  });

  const post = async (user: string, score: unknown): Promise<void> => {
    await site.press(nodeOf(flow, 'inject', 'try: 0.87'), { user, idType: 'idfa', score });
  };

  it('keeps the band of each user’s last score in one segment, without low scores', async () => {
    const startedMs = performance.now();
    const numbers = Array.from({ length: users }, (_, n) => n);
    await inParallel(numbers, 16, async (n) => {
      for (const score of scoresOf(n)) await post(device(n), score);
    });
    const expected = numbers.flatMap((n) => {
      const last = scoresOf(n).at(-1)!;
      return last < 0.2 ? [] : [`10001 ${device(n)} ${Math.ceil(last * 10)}`];
    });
    const state = await settled(() => site.sandboxState(), expected, waitMs);
    const bands = new Set(state.map(({ value }) => value));
    assert.deepEqual([...bands].sort(), [10, 2, 3, 4, 5, 6, 7, 8, 9]);
    report(
      'scores to values',
      'a button',
      count(numbers.flatMap(scoresOf).length, 'scores'),
      `${count(state.length, 'memberships')} with ${bands.size} values as expected`,
      startedMs,
    );
  });

  it('reports an invalid score, and builds nothing from it', async () => {
    const comms = await site.running.comms();
    await post(device(1), 'high');
    await post(device(1), undefined);
    await until(() => debugs(comms, 'not built').length === 2, waitMs, 'two that were not built');
    comms.close();
  });

  it('shows it by its buttons', async () => {
    const user = '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13';
    const valueOf = async (): Promise<number | null | undefined> =>
      (await site.sandboxState()).find(({ user_id }) => user_id === user)?.value;
    await site.press(nodeOf(flow, 'inject', 'try: 0.87'));
    await until(async () => (await valueOf()) === 9, waitMs, 'the value 9');
    await site.press(nodeOf(flow, 'inject', 'try: 0.12'));
    await until(async () => (await valueOf()) === undefined, waitMs, 'the user out');
  });
});

/** Some scores of a user, in order, with two digits as models give them. */
function scoresOf(n: number): number[] {
  return Array.from({ length: 1 + (n % 4) }, (_, k) => ((n * 37 + k * 53) % 101) / 100);
}
