// “keep a segment” by its buttons: joined users are added, users who left are removed, an empty audience changes nothing.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { debugs, ExampleSite, nodeOf, readExample, report, settled } from './support';

const waitMs = 20_000;

describe('keep a segment', function () {
  this.timeout(90_000);
  const ends = cleanUps();
  const flow = readExample('keep a segment');

  it('keeps the segment equal to the last audience, and refuses an empty one', async () => {
    const site = await ExampleSite.start(flow);
    ends(() => site.close());
    const comms = await site.running.comms();
    const startedMs = performance.now();
    const membersAfter = async (button: string, from: number): Promise<void> => {
      await site.press(nodeOf(flow, 'inject', button));
      const users = Array.from({ length: 6 }, (_, n) => `10001 1234567890098765432${from + n}`);
      await settled(() => site.sandboxState(), users, waitMs);
    };
    await membersAfter('six users', 1);
    await until(() => debugs(comms, 'reports').length === 1, waitMs, 'the first report');
    await membersAfter('one left, one joined', 2);
    await until(() => debugs(comms, 'reports').length === 2, waitMs, 'the second report');
    await site.press(nodeOf(flow, 'inject', 'an empty result'));
    await until(() => debugs(comms, 'refused').length === 1, waitMs, 'the refused run');
    comms.close();
    assert.equal((await site.sandboxState()).length, 6);
    report(
      'keep a segment',
      'its buttons',
      '3 audiences',
      '6 memberships as expected, 1 run refused',
      startedMs,
    );
  });
});
