// A Node-RED that lacks something: disk, file handles, time, the processor, memory. Nothing that was taken is lost, what
// is not taken is refused with a reason, and it goes on by itself once it has what it needs.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statfsSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { count, since, tell } from '../process/measured';
import { AudienceSite, assertNothingEscaped, nodeIds } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { until, type FlowNode } from '../support/node-red';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';

const sleepMs = Number(process.env.SLEEP_MS ?? 120_000);
const drainMs = 240_000;

/** What each of them is about is in `take` and `giveBack`. */
class Starved {
  readonly expected = new ExpectedAudience();
  readonly load = new EventLoad({
    expected: this.expected,
    users: 500,
    clients: 4,
    delivery: 'untilTaken',
    pauseMs: 20,
    answerMs: 20 * 60_000,
  });
  sandbox!: StandAloneSandbox;
  site!: AudienceSite;

  /** Hooks of the suite that it is made in. `prepare` runs before Node-RED does. */
  constructor(
    prepare: (site: AudienceSite, ends: ReturnType<typeof cleanUps>) => void = () => undefined,
    more: readonly FlowNode[] = [],
  ) {
    const ends = cleanUps();
    before(async () => {
      this.sandbox = await StandAloneSandbox.start();
      ends(() => this.sandbox.kill());
      this.site = await AudienceSite.make({ version: '5', serviceUrl: this.sandbox.url, more });
      ends(() => this.site.close());
      prepare(this.site, ends);
      await this.site.start();
      ends(() => this.load.giveUp());
    });
  }

  /** The load runs before, meanwhile and after. */
  async through(what: string, meanwhile: () => Promise<void>): Promise<void> {
    const { load, site } = this;
    load.start(site.eventsUrl);
    await sleep(3_000);
    const before = load.counts.taken;
    const startedMs = performance.now();
    await meanwhile();
    const took = since(startedMs);
    const during = load.counts.taken - before;
    await sleep(3_000);
    const { repeated } = load.counts;
    await load.stop();
    await this.isWhole();
    tell(
      `${what} for ${took}`,
      count(during, 'events taken meanwhile'),
      count(repeated, 'messages sent again'),
      `${count(load.counts.taken, 'events')} in all`,
    );
    assert.ok(load.counts.taken > before + during, 'nothing was taken afterwards');
  }

  async isWhole(): Promise<void> {
    await this.site.delivered(drainMs);
    assert.deepEqual(this.expected.differences(await this.sandbox.state()), []);
    assertNothingEscaped(this.site.log);
  }

  get pid(): number {
    return this.site.running.pid;
  }
}

describe('a Node-RED whose disk is full', function () {
  this.timeout(900_000);
  let disk = '';
  const starved = new Starved((site, ends) => {
    disk = path.join(site.userDir, 'instant-audience');
    mkdirSync(disk, { mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]);
    ends(async () => void (await sleep(0), spawnSync('umount', ['-l', disk])));
  });

  async function fillUpTo(leftBytes: number): Promise<void> {
    const file = await open(path.join(disk, 'filler'), 'a');
    const { bavail, bsize } = statfsSync(disk);
    const bytes = Math.max(0, bavail * bsize - leftBytes);
    await file.write(Buffer.alloc(bytes)).catch(() => undefined);
    await file.close();
  }

  it('goes on with 2 MB left, refuses with a reason with none, and takes again when there is room', async () => {
    await starved.through('2 MB, then none', async () => {
      // What waits fills the rest.
      await starved.sandbox.setFaults([{ kind: 'error', errorId: 'SYSTEM' }]);
      await fillUpTo(2_000_000);
      await until(
        () => starved.site.log.includes('is full') || starved.load.counts.repeated > 0,
        120_000,
        () => `a full disk: ${statfsSync(disk).bavail} pages left`,
      );
      await fillUpTo(0);
      const response = await fetch(starved.site.eventsUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(
          Array.from({ length: 5_000 }, (_, at) => ({
            user_id: `${at + 1}`,
            seg_block: [{ seg_id: 10001 }],
          })),
        ),
      });
      assert.equal(response.status, 503);
      const reason = await response.text();
      assert.match(reason, /is full/);
      assert.ok(starved.load.counts.repeated > 0, 'nobody was refused');
      await starved.sandbox.setFaults([]);
      await sleep(5_000);
      rmSync(path.join(disk, 'filler'));
    });
  });
});

describe('a Node-RED that may open no more files', function () {
  this.timeout(900_000);
  const starved = new Starved();

  it('holds what it has taken and sends it once it may open files again', async () => {
    await starved.through('no file handles', async () => {
      const held = readdirSync(`/proc/${starved.pid}/fd`).length;
      const limit = (most: string): void =>
        void execFileSync('prlimit', ['--pid', String(starved.pid), `--nofile=${most}`]);
      const before = /Max open files\s+(\d+)\s+(\d+)/.exec(
        readFileSync(`/proc/${starved.pid}/limits`, 'utf8'),
      )!;
      limit(`${Math.max(20, held - 5)}:${before[2]}`);
      await sleep(20_000);
      limit(`${before[1]}:${before[2]}`);
    });
  });
});

describe('a Node-RED that is stopped as a machine asleep is', function () {
  this.timeout(900_000 + sleepMs);
  const starved = new Starved();

  it('goes on where it was', async () => {
    await starved.through('asleep', async () => {
      process.kill(starved.pid, 'SIGSTOP');
      await sleep(sleepMs);
      process.kill(starved.pid, 'SIGCONT');
    });
  });
});

const busyFunction = 'const untilMs = Date.now() + 4_000; while (Date.now() < untilMs); return msg;';
const inTab = (node: FlowNode, ...wires: string[][]): FlowNode => ({
  z: nodeIds.tab,
  x: 100,
  y: 300,
  ...node,
  wires,
});

describe('a Node-RED whose function nodes take all the time there is', function () {
  this.timeout(900_000);
  const starved = new Starved(undefined, [
    inTab({ id: 'now', type: 'http in', method: 'get', url: '/busy' }, ['busy']),
    inTab({ id: 'busy', type: 'function', func: busyFunction, outputs: 1 }, ['response']),
  ]);

  it('takes and sends in what is left', async () => {
    await starved.through('busy', async () => {
      for (let round = 0; round < 5; round++) {
        await starved.site.running.fetch('busy');
        await sleep(200);
      }
    });
  });
});

/** Made within Node-RED: over HTTP it would not take as much. `kind` says of what. */
const largeFunction = `
  const { kind, megabytes } = msg.req.query;
  const bytes = Number(megabytes) * 1e6;
  if (kind === 'text') msg.payload = '{"user_id":"1"}' + ' '.repeat(bytes) + 'x';
  else if (kind === 'id') msg.payload = { user_id: 'x'.repeat(bytes), seg_block: [{ seg_id: 10001 }] };
  else {
    // About 100 bytes of JSON each.
    const broken = kind === 'invalid' ? 'not a segment' : 10001;
    const entries = [];
    for (let at = 1; at <= bytes / 100; at++)
      entries.push({ user_id: String(1e15 + at), seg_block: [{ seg_id: broken, value: at, expiration: 43200 }, { seg_id: 10002 }] });
    msg.payload = entries;
  }
  return msg;`;

describe('a Node-RED that gets a message of 300 MB', function () {
  this.timeout(1_800_000);
  const starved = new Starved(undefined, [
    inTab({ id: 'ask large', type: 'http in', method: 'get', url: '/large' }, ['large']),
    inTab({ id: 'large', type: 'function', func: largeFunction, outputs: 1 }, [nodeIds.out]),
  ]);

  for (const [kind, status] of [
    ['text', 503],
    ['id', 400],
    ['invalid', 400],
    ['valid', 202],
  ] as const) {
    it(`of kind ${kind} answers ${status}, and lives`, async () => {
      const startedMs = performance.now();
      const response = await starved.site.running.fetch(`large?kind=${kind}&megabytes=300`);
      const text = await response.text();
      const peakMb =
        Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${starved.pid}/status`, 'utf8'))![1]) / 1024;
      tell(
        kind,
        `${response.status} ${text.slice(0, 160)}`,
        since(startedMs),
        `${Math.round(peakMb)} MB at the most so far`,
      );
      assert.equal(response.status, status);
    });
  }
});
