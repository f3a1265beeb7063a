// The tab Audience open for ten minutes with twenty accounts, one of them at its full rate: what Node-RED and the page use.
//
// SIDEBAR_MINUTES shortens it. Nothing is asserted about speed; the lines that it prints are the result.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CDPSession, Page } from 'playwright-core';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { accountFlow, deviceId, openTab, tab } from '../browser/sidebar-flows';
import { Editor } from '../browser/editor';
import { tell } from '../process/measured';
import { needBrowser, openBrowser, picture, type Pages } from '../support/browser';
import { NodeRed } from '../support/node-red';

const accounts = 20;
const minutes = Number(process.env.SIDEBAR_MINUTES ?? 10);
const fullRate = 1000;
const slowRate = 20;

const name = (at: number): string => `seat${String(at + 1).padStart(2, '0')}`;

/** Posts so many entries a second to one account, half a second's at a time, until it is stopped. */
async function feed(nodeRed: NodeRed, at: number, perSecond: number, going: () => boolean): Promise<number> {
  let number = at * 10_000_000;
  const startedMs = performance.now();
  while (going()) {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * perSecond) + at * 10_000_000;
    if (due > number) {
      const entries = Array.from({ length: due - number }, (_, index) => ({
        user_id: deviceId(number + index),
        domain: 'idfa',
        seg_block: [{ seg_id: 10001, expiration: 60 }],
      }));
      number = due;
      await nodeRed.post(name(at), entries);
    }
    await sleep(500);
  }
  return number - at * 10_000_000;
}

/** Of a process, since it started: seconds of CPU, and megabytes that it holds. */
function usedBy(pid: number): { cpuSeconds: number; megabytes: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, megabytes: Number(resident) / 1024 };
}

/** Without garbage, whose collection is a task of the page of 100 to 500 ms: outside of what is measured. */
async function pageFigures(session: CDPSession): Promise<{ heapMegabytes: number; nodes: number }> {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const figure = (of: string): number => metrics.find((one) => one.name === of)?.value ?? NaN;
  return {
    heapMegabytes: figure('JSHeapUsedSize') / 1_048_576,
    nodes: figure('Nodes'),
  };
}

describe(`the tab Audience, open for ${minutes} minutes with ${accounts} accounts under load`, function () {
  const shortSeconds = Math.min(60, minutes * 30);
  /** Five short phases, the long one, and what is around them on a busy machine. */
  this.timeout((minutes * 60 + 5 * shortSeconds + 480) * 1000);
  const sandboxes: Sandbox[] = [];
  let nodeRed: NodeRed | undefined;
  let browser: Pages | undefined;
  let page: Page;
  let session: CDPSession;
  let feeding = true;

  before(async function () {
    if (process.platform !== 'linux') this.skip();
    needBrowser(this);
    for (let at = 0; at < accounts; at += 1) sandboxes.push(await startSandbox({ member: at + 1 }));
    const flows = sandboxes.map(({ url }, at) => {
      return accountFlow(
        name(at),
        { environment: 'custom', authUrl: url, serviceUrl: url, member: String(at + 1) },
        at,
      );
    });
    const credentials = sandboxes.map((_, at) => [
      `account-${name(at)}`,
      { username: 'me', password: 'secret' },
    ]);
    nodeRed = await NodeRed.start({
      flows: [tab, ...flows.flat()],
      credentials: Object.fromEntries(credentials),
      settings: { apiMaxLength: '20mb' },
    });
    browser = await openBrowser();
    const editor = await Editor.open(browser, nodeRed, { width: 1400, height: 1400 });
    ({ page } = editor);
    session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
  });
  after(async () => {
    feeding = false;
    await browser?.close();
    await nodeRed?.stop();
    for (const sandbox of sandboxes) await sandbox.close();
  });

  /** Runs a phase and gives what was used in it. */
  async function phase(
    what: string,
    seconds: number,
  ): Promise<{ cpu: number; busy: number; heap: number; rss: number }> {
    const pid = (nodeRed as unknown as { child: { pid: number } }).child.pid;
    await pageFigures(session);
    const processBefore = usedBy(pid);
    const startedMs = performance.now();
    const tasks: Task[] = [];
    // A trace has its limits, so it is taken in pieces.
    for (let left = seconds; left > 0; left -= traceSeconds) {
      await browser!.browser.startTracing(page, { categories: [taskCategory] });
      await sleep(Math.min(left, traceSeconds) * 1000);
      tasks.push(...tasksOf((await browser!.browser.stopTracing()).toString()));
    }
    const longest = tasks.reduce((a, b) => (b.ms > a.ms ? b : a));
    const took = (performance.now() - startedMs) / 1000;
    const processAfter = usedBy(pid);
    const pageAfter = await pageFigures(session);
    const cpu = ((processAfter.cpuSeconds - processBefore.cpuSeconds) / took) * 100;
    // What it worked, not how long that took: other processes do not count.
    const busy = (tasks.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / 1000 / took) * 100;
    tell(
      `${what}, ${Math.round(took)} s`,
      `Node-RED ${cpu.toFixed(1)} % of a core, ${processAfter.megabytes.toFixed(0)} MB`,
      `page at work ${busy.toFixed(1)} %, heap ${pageAfter.heapMegabytes.toFixed(1)} MB, ${pageAfter.nodes} DOM nodes`,
      `${tasks.filter(({ ms }) => ms > 50).length} of ${tasks.length} tasks over 50 ms`,
      `the longest ${longest.ms.toFixed(0)} ms, with ${longest.cpuMs.toFixed(0)} ms of work`,
      `the most work in one ${tasks.reduce((most, { cpuMs }) => Math.max(most, cpuMs), 0).toFixed(0)} ms`,
      `load ${loadavg()[0]!.toFixed(1)}`,
    );
    return { cpu, busy, heap: pageAfter.heapMegabytes, rss: processAfter.megabytes };
  }

  it('stays smooth, and costs nothing while it is closed', async () => {
    const fed = sandboxes.map((_, at) => feed(nodeRed!, at, at === 0 ? fullRate : slowRate, () => feeding));
    await sleep(10_000);
    await phase('closed', shortSeconds);
    await openTab(page);
    await page
      .locator('.instant-audience-tab section')
      .nth(accounts - 1)
      .waitFor();
    await page.evaluate("document.querySelector('button[data-tab-id=debug]')?.click()");
    await phase('open, all cards closed', shortSeconds);
    await page.locator('.instant-audience-head').first().click();
    const first = await phase('open, one card open', shortSeconds);
    const last = await phase('open, one card open', minutes * 60);
    await picture(page, 'sidebar-long');
    for (const head of await page.locator('.instant-audience-tab .instant-audience-head:visible').all()) {
      if ((await head.getAttribute('aria-expanded')) === 'false') await head.click();
    }
    await phase('open, all cards open', shortSeconds);
    await page.evaluate("RED.sidebar.show('info')");
    await phase('closed again', shortSeconds);
    feeding = false;
    const entries = (await Promise.all(fed)).reduce((sum, count) => sum + count, 0);
    const counted = (): number =>
      sandboxes.reduce(
        (sum, sandbox) => sum + sandbox.members({ limit: 0 }).reduce((all, { count }) => all + count, 0),
        0,
      );
    // The sandboxes answer from this process, so it is not counted all the time; as long as more come, it waits.
    for (let before = -1; counted() > before && counted() < entries;) {
      before = counted();
      await sleep(15_000);
    }
    const members = counted();
    tell(`${entries} entries in`, `${members} memberships at the sandboxes`);
    assert.equal(members, entries);
    assert.ok(last.heap < first.heap * 2 + 20, `the page grew from ${first.heap} MB to ${last.heap} MB`);
  });
});

const taskCategory = 'disabled-by-default-devtools.timeline';
const traceSeconds = 30;

interface Traced {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** A task of the page's main thread: how long it took, and how long of that it was at work. */
interface Task {
  readonly ms: number;
  readonly cpuMs: number;
}

function tasksOf(trace: string): Task[] {
  const { traceEvents } = JSON.parse(trace) as { traceEvents: readonly Traced[] };
  const ofMain = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter(({ name, pid, tid }) => name.endsWith('RunTask') && ofMain.has(`${pid} ${tid}`))
    .map(({ dur = 0, tdur = 0 }) => ({ ms: dur / 1000, cpuMs: tdur / 1000 }));
}
