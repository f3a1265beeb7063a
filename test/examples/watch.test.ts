// “watch it”, fed by a button: the figures add up, and a browser plots them.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { isDeepStrictEqual } from 'node:util';
import { needBrowser, openBrowser, picture, type Pages } from '../support/browser';
import { cleanUps } from '../support/clean-up';
import { until, type CommsLog, type FlowNode } from '../support/node-red';
import { count, debugs, device, ExampleSite, feeder, nodeOf, readExample, report, settled } from './support';

const visitors = 4_000;
const wrongEvery = 50;
const wrong = visitors / wrongEvery;
const waitMs = 15_000;

describe('watch it', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  const flow = readExample('watch it');
  const feed = feeder(nodeOf(flow, 'xandr-segment-builder'));
  let site: ExampleSite;
  let comms: CommsLog;

  before(async () => {
    site = await ExampleSite.start([...flow, tap(flow), feed], { modules: ['@flowfuse/node-red-dashboard'] });
    ends(() => site.close());
    comms = await site.running.comms();
    ends(() => {
      comms.close();
      return Promise.resolve();
    });
  });

  /** What was plotted of one figure. */
  const plotted = (topic: string): number[] =>
    debugs(comms, 'figures')
      .filter((figure) => figure.topic === topic)
      .map(({ payload }) => payload);

  it('counts what is queued, accepted and rejected, so that it adds up', async () => {
    const startedMs = performance.now();
    const numbers = Array.from({ length: visitors }, (_, n) => n);
    const body = numbers.map((n) => ({ user: device(n), idType: n % wrongEvery === 0 ? 'sha1mac' : 'idfa' }));
    for (let from = 0; from < visitors; from += 1_000) await site.press(feed, body.slice(from, from + 1_000));
    const expected = numbers.filter((n) => n % wrongEvery !== 0).map((n) => `10001 ${device(n)}`);
    const state = await settled(() => site.sandboxState(), expected, waitMs);
    const last = (): unknown[] => ['queued', 'accepted', 'rejected'].map((topic) => plotted(topic).at(-1));
    await until(
      () => isDeepStrictEqual(last(), [0, visitors - wrong, wrong]),
      waitMs,
      () => `nothing queued, and everything accepted or rejected, instead of ${JSON.stringify(last())}`,
    );
    assert.ok(Math.max(...plotted('queued')) > 0, 'some were queued meanwhile');
    report(
      'watch it',
      'a button',
      count(visitors, 'visitors'),
      `${count(state.length, 'memberships as expected')}, ${wrong} rejected, plotted in ${plotted('queued').length} points`,
      startedMs,
    );
  });

  it('plots them on the dashboard', async function () {
    needBrowser(this);
    const browser = await openBrowser();
    try {
      await seePlots(browser, new URL('dashboard/audience', site.running.url).href);
    } finally {
      await browser.close();
    }
  });
});

/** A look at what goes to the charts. */
function tap(flow: readonly FlowNode[]): FlowNode {
  const counter = nodeOf(flow, 'function', 'count');
  for (const wires of counter.wires as string[][]) wires.push('tap');
  const { z } = counter;
  return {
    id: 'tap',
    type: 'debug',
    z,
    name: 'figures',
    active: true,
    tosidebar: true,
    console: false,
    tostatus: false,
    complete: 'true',
    targetType: 'full',
    x: 0,
    y: 0,
    wires: [],
  };
}

/** Two plots with something drawn on each. */
async function seePlots(browser: Pages, url: string): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1000, height: 1000 } });
  const errors: Error[] = [];
  page.on('pageerror', (error) => errors.push(error));
  // The compiler of the tests wraps functions in a call of this name, also those that are sent into the page.
  await page.addInitScript('globalThis.__name = (call) => call');
  await page.goto(url);
  await page.waitForFunction(() => document.querySelectorAll('canvas').length === 2, null, {
    timeout: waitMs,
  });
  // The charts grow to their data before they stand still.
  await page.waitForTimeout(2_500);
  const heights = await page.evaluate(curveHeights);
  await picture(page, 'watch-it');
  assert.equal(heights.length, 2);
  // What was queued and sent before the page was opened is there, too.
  for (const height of heights) assert.ok(height > 0.3, `curves over ${heights.join(', ')} of the heights`);
  assert.deepEqual(errors, []);
}

/** Over how much of its height each canvas has pixels that are neither white nor grey. Runs in the page. */
function curveHeights(): number[] {
  return [...document.querySelectorAll('canvas')].map((canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, width, height);
    const isColoured = (at: number): boolean => {
      const [red, green, blue] = [data[at]!, data[at + 1]!, data[at + 2]!];
      return data[at + 3]! > 100 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60;
    };
    const rows = Array.from({ length: height }, (_, row) => row).filter((row) =>
      Array.from({ length: width }, (_, column) => (row * width + column) * 4).some(isColoured),
    );
    return (rows.at(-1)! - rows[0]!) / height;
  });
}
