// A real Node-RED that runs out of disk or handles, or that is handed far too much.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { look, missing, readCounters } from '../soak/samples';
import { AudienceSite, assertNothingEscaped, nodeIds, type SiteOptions } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { until, type FlowNode } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { Relay } from '../support/relay';
import { StandAloneSandbox, type SandboxStart } from '../support/stand-alone-sandbox';
import { count, tell } from '../process/measured';

const isRoot = process.getuid?.() === 0;
const drainMs = 120_000;
const deliveredMs = 240_000;
/** 20 s after a request was lost it is taken not to run any more, and what it may have undone is repeated. */
const repeatedMs = 25_000;

class Setting {
  readonly expected = new ExpectedAudience();
  load!: EventLoad;
  sandbox!: StandAloneSandbox;
  relay!: Relay;
  site!: AudienceSite;

  /** Everything that a suite needs, up and running, ended with it. */
  async begin(
    ends: ReturnType<typeof cleanUps>,
    options: Partial<SiteOptions> = {},
    sandbox: SandboxStart = {},
    beforeStart: (site: AudienceSite) => void = () => undefined,
  ): Promise<void> {
    this.sandbox = await StandAloneSandbox.start(sandbox);
    ends(() => this.sandbox.kill());
    this.relay = await Relay.open(this.sandbox.url);
    ends(() => this.relay.close());
    this.site = await AudienceSite.make({
      serviceUrl: this.relay.url,
      settings: { instantAudience: { metrics: true }, apiMaxLength: '50mb' },
      ...options,
    });
    ends(() => this.site.close());
    beforeStart(this.site);
    await this.site.start();
    const { expected } = this;
    this.load = new EventLoad({
      expected,
      users: 600,
      clients: 6,
      pauseMs: 50,
      mostEvents: 20,
      delivery: 'untilTaken',
    });
    ends(() => this.load.discard());
  }

  /** The load rests, everything arrives, in order; counters add up, and nothing was lost on the way. */
  async reckon(): Promise<string> {
    const { site, load, sandbox } = this;
    await load.stop();
    await site.delivered(deliveredMs);
    await sleep(repeatedMs);
    await site.delivered(drainMs);
    const state = await sandbox.state();
    assert.deepEqual(this.expected.differences(state), []);
    const counters = await readCounters(site.running.url);
    assert.ok(counters !== null, 'the metrics answer');
    assert.equal(missing(counters), 0, JSON.stringify(counters));
    assert.equal(counters.waiting, 0);
    assertQuotaKept(await sandbox.peaks());
    assertNothingEscaped(site.log);
    return count(state.length, 'memberships as expected');
  }

  async counters(): Promise<NonNullable<Awaited<ReturnType<typeof readCounters>>>> {
    let found: Awaited<ReturnType<typeof readCounters>> = null;
    await until(
      async () => (found = await readCounters(this.site.running.url)) !== null,
      drainMs,
      'the metrics',
    );
    return found!;
  }

  async post(entries: unknown, where = this.site.eventsUrl): Promise<{ status: number; text: string }> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(where, { method: 'POST', headers, body: JSON.stringify(entries) });
    return { status: response.status, text: await response.text() };
  }
}

describe('a Node-RED whose disk has 2 MB left, and then none', function () {
  this.timeout(900_000);
  const ends = cleanUps();
  const setting = new Setting();
  let folder = '';
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  };
  const mount = (...options: string[]): Buffer =>
    execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder]);

  before(async function () {
    if (!isRoot || process.platform !== 'linux') {
      console.log('      skipped: a disk of its own needs root on Linux');
      this.skip();
    }
    await setting.begin(ends, {}, {}, ({ userDir }) => {
      folder = path.join(userDir, 'instant-audience');
      mkdirSync(folder);
      mount('size=2560k', 'mode=700');
      ends(async () => {
        // Node-RED has files open there.
        await setting.site.stop('SIGKILL').catch(() => undefined);
        execFileSync('umount', [folder]);
      });
    });
  });
  it('refuses what does not fit with a sentence, keeps what it took, and takes more once there is room', async () => {
    const { site, relay, load } = setting;
    await relay.close();
    const freeAtFirst = freeBytes();
    load.start(site.eventsUrl);
    await until(
      async () => (await setting.post(bigMessage())).status === 503,
      drainMs,
      () => `a refusal with ${freeBytes()} bytes left`,
    );
    // Small ones may fit in what is left of a page for a while.
    let refusal = { status: 0, text: '' };
    await until(
      async () => (refusal = await setting.post(bigMessage())).status === 503,
      drainMs,
      'another refusal',
    );
    assert.match(refusal.text, /The disk of the queue file .* is full/);
    const freeWhenFull = freeBytes();
    const { taken, waiting } = await setting.counters();
    assert.ok(waiting > 0);
    await sleep(5_000);
    mount('remount', 'size=200m');
    const before = load.counts.taken;
    await until(
      () => load.counts.taken > before + 500,
      drainMs,
      () => `events taken again, after ${load.counts.taken}`,
    );
    await relay.reopen();
    const arrived = await setting.reckon();
    tell(
      `${(freeAtFirst / 1e6).toFixed(1)} MB free at first, ${(freeWhenFull / 1e3).toFixed(0)} kB when it was full`,
      count(taken, 'entries taken until then'),
      count(load.counts.repeated, 'messages refused and sent again'),
      arrived,
    );
  });

  it('takes what it had when it is killed with a full disk, and goes on', async () => {
    const { site, relay, load } = setting;
    await relay.close();
    load.start(site.eventsUrl);
    await sleep(2_000);
    mount('remount', `size=${Math.ceil(usedBytes(folder) / 1024) + 64}k`);
    await until(async () => (await setting.post(bigMessage())).status === 503, drainMs, 'a refusal');
    await site.stop('SIGKILL');
    await site.start();
    load.sendTo(site.eventsUrl);
    await relay.reopen();
    await sleep(3_000);
    mount('remount', 'size=200m');
    tell(await setting.reckon());
  });
});

/** A message of some 100 kB, of users that nobody asks for later. */
function bigMessage(): unknown[] {
  return Array.from({ length: 700 }, (_, at) => ({
    user_id: `9${String(at).padStart(18, '0')}`,
    seg_block: [{ seg_id: 10001, expiration: -1 }],
  }));
}

function usedBytes(folder: string): number {
  const { blocks, bavail, bsize } = statfsSync(folder);
  return (blocks - bavail) * bsize;
}

describe('a Node-RED that may open no more files', function () {
  this.timeout(600_000);
  const ends = cleanUps();
  const setting = new Setting();

  before(async function () {
    try {
      execFileSync('prlimit', ['--version']);
    } catch {
      console.log('      skipped: there is no prlimit');
      this.skip();
    }
    await setting.begin(ends);
  });

  it('neither ends nor loses anything, and goes on when it may again', async () => {
    const { site, load, relay, sandbox } = setting;
    const { pid } = site.running;
    const open = (): number => readdirSync(`/proc/${pid}/fd`).length;
    const allow = (files: number): Buffer =>
      execFileSync('prlimit', ['--pid', String(pid), `--nofile=${files}:${hard}`]);
    const hard = Number(
      /Max open files\s+\d+\s+(\d+)/.exec(execFileSync('cat', [`/proc/${pid}/limits`]).toString())![1],
    );
    load.start(site.eventsUrl);
    await sleep(3_000);
    // Connections to the service are gone, and no new ones can be had; nor by who connects to Node-RED from here on.
    // The limit is of the number that a file gets: what is open stays open.
    await relay.close();
    await sleep(1_000);
    allow(3);
    await relay.reopen();
    const postsBefore = (await sandbox.peaks()).totals.posts;
    const takenBefore = load.counts.taken;
    const strangers = Array.from({ length: 20 }, async () => {
      try {
        return (await fetch(site.running.url, { signal: AbortSignal.timeout(15_000) })).ok;
      } catch {
        return false;
      }
    });
    await sleep(20_000);
    const starved = open();
    const taken = load.counts.taken - takenBefore;
    assert.equal((await sandbox.peaks()).totals.posts, postsBefore, 'nothing got out');
    const notServed = (await Promise.all(strangers)).filter((served) => !served).length;
    assert.ok(notServed > 0, 'who came anew was served, so nothing was missing');
    allow(hard);
    await sleep(3_000);
    tell(
      `${starved} files open while no more were allowed`,
      count(taken, 'events taken then, by connections that were there'),
      `${notServed} of ${strangers.length} new connections not served`,
      await setting.reckon(),
    );
  });
});

const inTab = (node: FlowNode, ...wires: string[][]): FlowNode => ({
  z: nodeIds.tab,
  x: 100,
  y: 400,
  ...node,
  wires,
});

describe('a Node-RED that is handed a message of 300 MB', function () {
  this.timeout(900_000);
  const ends = cleanUps();
  const setting = new Setting();
  const users = 50_000;
  const segmentsEach = 100;
  const make = `
    const { kind } = msg.req.query;
    if (kind === 'text') msg.payload = 'x'.repeat(300e6);
    else if (kind === 'bytes') msg.payload = Buffer.alloc(300e6, 120);
    else if (kind === 'id') msg.payload = { user_id: '1'.repeat(300e6), seg_block: [{ seg_id: 10001 }] };
    else msg.payload = Array.from({ length: ${users} }, (_, user) => ({
      user_id: '8' + String(user).padStart(17, '0'),
      domain: null,
      seg_block: Array.from({ length: ${segmentsEach} }, (_b, at) => ({
        seg_id: 20000 + at, value: 1000000 + at, expiration: 43200 })),
    }));
    return msg;`;
  const moreNodes = [
    inTab({ id: 'big', type: 'http in', method: 'post', url: '/big' }, ['make']),
    inTab({ id: 'make', type: 'function', func: make, outputs: 1 }, [nodeIds.out]),
  ];
  const limits = { postsPerSecond: 500, usersPerSecond: 10_000, maxConcurrent: 15 };
  const hand = (kind: string): Promise<{ status: number; text: string }> =>
    setting.post({}, new URL(`big?kind=${kind}`, setting.site.running.url).href);
  const rssMb = async (): Promise<string> =>
    `${((await look(setting.site, '', { writtenMs: 0, collectedMs: 0 }))?.rssMb ?? 0).toFixed(0)} MB resident`;

  before(() => setting.begin(ends, { moreNodes, limits }, { limits: 'none' }));

  for (const kind of ['text', 'bytes', 'id']) {
    it(`rejects one that is no entry (${kind}), and works on`, async () => {
      const { status, text } = await hand(kind);
      assert.ok([400, 503].includes(status), `${status}: ${text}`);
      assert.ok(text.length < 1_000, `an answer of ${text.length} characters`);
      tell(await rssMb(), text);
      assert.equal((await setting.post([{ user_id: '7', seg_block: [{ seg_id: 10001 }] }])).status, 202);
    });
  }

  it('takes one of 50,000 users in 100 segments each, and delivers all of it', async () => {
    const answer = await hand('entries');
    assert.equal(answer.status, 202, answer.text);
    const rss = await rssMb();
    await setting.site.delivered(deliveredMs);
    // All of it as one text would be too long for a text.
    const counts = await fetch(`${setting.sandbox.url}/sandbox/members`);
    const { segments } = (await counts.json()) as { segments: { segment: string; count: number }[] };
    const filled = segments.filter(({ segment }) => Number(segment) >= 20_000);
    assert.deepEqual([filled.length, ...new Set(filled.map((one) => one.count))], [segmentsEach, users]);
    assertNothingEscaped(setting.site.log);
    tell(`${rss} when it was taken`, count(users * segmentsEach, 'memberships'));
  });
});
