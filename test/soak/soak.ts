// npm run soak: a real Node-RED at full quota for hours, while one trouble after the other comes over it.
//
// SOAK_MINUTES=120   how long
// SOAK_SEED=1        the dice of the troubles and of the load; printed at the start
// SOAK_POSTS=20 SOAK_USERS=200   the account's limits a second; the load always fills them
// SOAK_ONLY='deploy,503'         only these troubles
// SOAK_FOLDER=.test/soak         where summary.md goes
//
// In the first quarter the process is killed and stopped too. Then one process lives to the end, and its memory and
// handles are measured after a warm-up. At checkpoints the load rests, everything is delivered, and the sandbox must
// hold exactly what the inputs in order give. It ends with an error when a promise is broken.
import { strict as assert } from 'node:assert';
import { mkdir, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Fault } from '../../src/sandbox/sandbox';
import { Dice } from '../simulation/world/dice';
import { AudienceSite, assertNothingEscaped } from '../support/audience-site';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import '../support/local-hosts-direct';
import { assertQuotaKept } from '../support/quota';
import { Relay } from '../support/relay';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { look, missing, readCounters, runOf, type Counters, type Run, type Sample } from './samples';
import { flowOf, troubles, type Scene, type Trouble } from './troubles';

const minutes = Number(process.env.SOAK_MINUTES ?? 120);
const seed = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 1_000_000));
const limits = {
  postsPerSecond: Number(process.env.SOAK_POSTS ?? 20),
  usersPerSecond: Number(process.env.SOAK_USERS ?? 200),
  maxConcurrent: 15,
};
const root = path.join(__dirname, '..', '..');
const folder = path.resolve(root, process.env.SOAK_FOLDER ?? path.join('.test', 'soak'));

const only = process.env.SOAK_ONLY?.split(',') ?? null;

const totalMs = minutes * 60_000;
/** After this no process is ended any more. */
const killsUntilMs = totalMs / 4;
const warmUpMs = Math.min(10 * 60_000, totalMs / 8);
const checkpointEveryMs = Math.max(5 * 60_000, totalMs / 8);
const sampleMs = 5_000;
/** Memory is judged over so long at least. */
const leastMeasuredMs = 20 * 60_000;
/** Between two troubles. */
const restMs = [4_000, 25_000] as const;
/** More than ten starts in five minutes would be more than ten logins. */
const betweenKillsMs = 35_000;
const drainMs = 240_000;
/** 20 s after a request was lost it is taken not to run any more, and what it may have undone is repeated. */
const repeatedMs = 25_000;
/** The load for each user that may be sent a second: more than goes out, so that the quota is always full. */
const overload = 1.25;
const clients = 12;
const mostEvents = 20;
/** Fewer than wait when the service is gone for long: newer events of a user take the place of older ones. */
const usersPerPermit = 15;

const refusedUser = '66600000000000000001';
const lateUser = '66600000000000000002';
const always: readonly Fault[] = [
  { kind: 'poison', userIds: [refusedUser] },
  { kind: 'latency', beforeMs: [5, 60], afterMs: [5, 60] },
];

class Soak {
  private readonly expected = new ExpectedAudience();
  private readonly random = new Dice(`soak ${seed}`).next;
  private readonly between = (least: number, most: number): number => least + this.random() * (most - least);
  private readonly samples: Sample[] = [];
  private readonly happened = new Map<string, number>();
  private startedMs = 0;
  private readonly memoryFile = path.join(folder, 'memory.json');
  private life = 1;
  private lifeFromMs = 0;
  private trouble = '';
  private asked = 0;
  private wrongSums = 0;
  private checkpoints = 0;
  private compared = 0;
  private lastKillMs = -Infinity;
  private working = true;
  private resting = false;
  private scene!: Scene;

  private get nowMs(): number {
    return performance.now() - this.startedMs;
  }

  async run(): Promise<void> {
    await mkdir(folder, { recursive: true });
    const sandbox = await StandAloneSandbox.start({
      limits: { postsPerSecond: limits.postsPerSecond, usersPerSecond: limits.usersPerSecond },
      faults: always,
    });
    let relay: Relay | null = null;
    let site: AudienceSite | null = null;
    let load: EventLoad | null = null;
    try {
      relay = await Relay.open(sandbox.url);
      site = await AudienceSite.make({
        serviceUrl: relay.url,
        limits,
        settings: { instantAudience: { metrics: true } },
        env: {
          NODE_OPTIONS: `--import=${pathToFileURL(path.join(__dirname, 'memory.mjs')).href}`,
          SOAK_MEMORY_FILE: this.memoryFile,
        },
      });
      await site.start();
      load = this.makeLoad();
      const flow = { nodes: flowOf(relay.url, limits), deploys: 0 };
      this.scene = { sandbox, relay, site, load, faults: always, random: this.random, flow };
      await this.soak();
    } finally {
      this.working = false;
      sandbox.goOn();
      await load?.discard();
      await site?.close();
      await relay?.close();
      await sandbox.kill();
    }
  }

  private makeLoad(): EventLoad {
    const eventsPerMs = (limits.usersPerSecond * overload) / 1000;
    return new EventLoad({
      expected: this.expected,
      users: Math.ceil((limits.usersPerSecond * usersPerPermit) / clients) * clients,
      clients,
      pauseMs: Math.round((clients * (1 + mostEvents)) / 2 / eventsPerMs),
      mostEvents,
      answerMs: 15_000,
      delivery: 'untilTaken',
      random: new Dice(`events ${seed}`).next,
    });
  }

  private async soak(): Promise<void> {
    const { site, load, sandbox } = this.scene;
    this.startedMs = performance.now();
    const looking = this.keepLooking();
    const special = this.keepAskingForMore();
    load.start(site.eventsUrl);
    let nextCheckpointMs = checkpointEveryMs;
    while (this.nowMs < totalMs) {
      await sleep(this.between(...restMs));
      await this.suffer(this.pick());
      if (this.nowMs < nextCheckpointMs || this.nowMs > totalMs - checkpointEveryMs / 2) continue;
      await this.checkpoint();
      nextCheckpointMs = this.nowMs + checkpointEveryMs;
      this.resting = false;
      load.start(site.eventsUrl);
    }
    const last = await this.checkpoint();
    this.working = false;
    await Promise.all([looking, special]);
    const ended = await site.ended();
    const { ended: counted } = last;
    const peaks = await sandbox.peaks();
    await this.report(last, peaks);
    assert.deepEqual(
      ended,
      { accepted: counted.accepted + counted.superseded + counted.expired, rejected: counted.rejected },
      'the flow was told of every end',
    );
    assert.equal((await site.stop()).code, 0);
    assert.equal(await site.queued(), 0);
    assertQuotaKept(peaks, limitsOf());
    assert.equal(this.wrongSums, 0, 'the counters added up whenever they were asked for');
    assertNothingEscaped(site.log);
    this.assertFlat();
  }

  private pick(): Trouble {
    const mayKill = this.nowMs < killsUntilMs && this.nowMs > this.lastKillMs + betweenKillsMs;
    // In the time for kills every third trouble is one.
    const wantsKill = mayKill && only === null && this.random() < 1 / 3;
    const possible = troubles.filter(
      ({ kills = false, name }) => kills === wantsKill && (only === null || only.includes(name)),
    );
    return possible[Math.floor(this.random() * possible.length)]!;
  }

  private async suffer(trouble: Trouble): Promise<void> {
    const forMs = this.between(...trouble.lastsMs);
    this.trouble = trouble.name;
    this.happened.set(trouble.name, (this.happened.get(trouble.name) ?? 0) + 1);
    say(`${clockOf(this.nowMs)} ${trouble.name}${forMs > 0 ? ` for ${(forMs / 1000).toFixed(0)} s` : ''}`);
    await trouble.begin(this.scene);
    if (trouble.kills) {
      this.lastKillMs = this.nowMs;
      this.life += 1;
      this.lifeFromMs = this.nowMs;
    }
    await sleep(forMs);
    await trouble.end?.(this.scene);
    this.trouble = '';
  }

  /** The load rests until everything is delivered; then the sandbox holds what the inputs in order give. */
  private async checkpoint(): Promise<Counters> {
    const { site, load, sandbox } = this.scene;
    this.resting = true;
    await load.stop();
    await site.delivered(drainMs);
    await sleep(repeatedMs);
    await site.delivered(drainMs);
    const state = await sandbox.state();
    assert.deepEqual(this.expected.differences(state), []);
    const counters = await readCounters(site.running.url);
    assert.ok(counters !== null, 'the metrics answer');
    assert.equal(missing(counters), 0, JSON.stringify(counters));
    assert.equal(counters.waiting, 0);
    this.checkpoints += 1;
    this.compared += state.length;
    say(
      `${clockOf(this.nowMs)} checkpoint: ${state.length} memberships as expected; ${JSON.stringify(counters)}; load average ${loadavg()[0]!.toFixed(1)}`,
    );
    return counters;
  }

  private async keepLooking(): Promise<void> {
    const seen = { writtenMs: Date.now(), collectedMs: Date.now() };
    while (this.working) {
      const { life, trouble } = this;
      const found = await look(this.scene.site, this.memoryFile, seen);
      if (found !== null && life === this.life) {
        this.samples.push({ atMs: this.nowMs, life, trouble, ...found });
        if (found.counters !== null) {
          this.asked += 1;
          if (missing(found.counters) !== 0) this.wrongSums += 1;
        }
      }
      await sleep(sampleMs);
    }
  }

  /** One entry that the service refuses, and one whose time has passed before it is taken. */
  private async keepAskingForMore(): Promise<void> {
    const segment = { seg_id: 10001 };
    while (this.working) {
      await sleep(15_000);
      if (this.resting) continue;
      const entries = [
        { user_id: refusedUser, seg_block: [segment] },
        { user_id: lateUser, seg_block: [{ ...segment, expiration: 1 }], event_time: Date.now() - 180_000 },
      ];
      try {
        const body = JSON.stringify(entries);
        const headers = { 'content-type': 'application/json' };
        const signal = AbortSignal.timeout(5_000);
        await fetch(this.scene.site.eventsUrl, { method: 'POST', body, headers, signal });
      } catch {
        // It does not run, or sleeps: they are not missed.
      }
    }
  }

  private get measured(): readonly Sample[] {
    const from = this.lifeFromMs + warmUpMs;
    return this.samples.filter(({ life, atMs }) => life === this.life && atMs >= from);
  }

  private runs(): Readonly<Record<string, Run | null>> {
    const of = (figure: (sample: Sample) => number | null): Run | null =>
      runOf(this.measured.map(figure).filter((value) => value !== null));
    return {
      'resident memory, MB': of(({ rssMb }) => rssMb),
      'heap after a full collection, MB': of(({ heapMb }) => heapMb),
      'open files and sockets': of(({ handles }) => handles),
      'active resources': of(({ resources }) => resources),
      'entries that wait': of(({ counters }) => counters?.waiting ?? null),
      'users a second': of(({ counters }) => counters?.usersPerSecond ?? null),
    };
  }

  /** Of an hour or so: in the first minutes a process still grows to its size. What leaks grows from the first third to the last by more than the troubles make it swing. */
  private assertFlat(): void {
    const measuredMs = this.nowMs - (this.measured[0]?.atMs ?? this.nowMs);
    if (measuredMs < leastMeasuredMs) {
      say('Too short to judge whether memory and handles stay flat.');
      return;
    }
    for (const [name, run] of Object.entries(this.runs()).slice(0, 4)) {
      if (run === null) continue;
      const most = run.before * 1.2 + 10;
      assert.ok(run.after <= most, `${name} grew from ${run.before.toFixed(1)} to ${run.after.toFixed(1)}`);
    }
  }

  private async report(
    last: Counters,
    peaks: Awaited<ReturnType<StandAloneSandbox['peaks']>>,
  ): Promise<void> {
    const { load, flow } = this.scene;
    const measured = this.measured;
    const fromMs = measured[0]?.atMs ?? this.nowMs;
    const number = (value: number): string =>
      value.toLocaleString('en-US', { maximumFractionDigits: value < 1000 ? 1 : 0 });
    const lines = [
      `Seed ${seed}, ${(this.nowMs / 60_000).toFixed(0)} minutes, ${limits.postsPerSecond} posts and ${limits.usersPerSecond} users a second, Node.js ${process.version}, load average at the end ${loadavg()[0]!.toFixed(1)}.`,
      '',
      `- ${number(load.counts.taken)} events taken from ${clients} clients, ${number(load.counts.repeated)} messages sent again.`,
      `- ${number(peaks.totals.posts)} posts with ${number(peaks.totals.users)} users at the sandbox; at most ${peaks.worst.postsPerSecond} posts and ${peaks.worst.usersPerSecond} users in any second, ${peaks.worst.concurrentPosts} posts at a time, ${peaks.totals.rateLimited} refused for a limit, ${peaks.totals.authentications} logins.`,
      `- ${this.life} processes; ${flow.deploys} deploys; ${this.checkpoints} checkpoints, ${number(this.compared)} memberships compared, none different.`,
      `- Counters of the last process: ${number(last.taken)} taken = ${Object.entries(last.ended)
        .map(([end, count]) => `${number(count)} ${end}`)
        .join(
          ' + ',
        )} + ${last.waiting} waiting. They added up in ${this.asked - this.wrongSums} of ${this.asked} looks.`,
      `- Troubles: ${[...this.happened].map(([name, times]) => `${name} ${times}`).join(', ')}.`,
      '',
      `The last process from minute ${(fromMs / 60_000).toFixed(0)} on, ${((this.nowMs - fromMs) / 60_000).toFixed(0)} minutes:`,
      '',
      '| figure | first third (median) | last third | least … most |',
      '| --- | ---: | ---: | ---: |',
      ...Object.entries(this.runs()).map(([name, run]) =>
        run === null
          ? `| ${name} | too short to say | | |`
          : `| ${name} | ${number(run.before)} | ${number(run.after)} | ${number(run.least)} … ${number(run.most)} |`,
      ),
      '',
    ];
    console.log(lines.join('\n'));
    await writeFile(path.join(folder, 'summary.md'), lines.join('\n'));
  }
}

function limitsOf(): { postsPerSecond: number; usersPerSecond: number } {
  return { postsPerSecond: limits.postsPerSecond, usersPerSecond: limits.usersPerSecond };
}

function clockOf(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}`;
}

function say(text: string): void {
  console.log(text);
}

say(`Soaking for ${minutes} minutes with SOAK_SEED=${seed}.`);
new Soak().run().then(
  () => say('All promises kept.'),
  (error: unknown) => {
    console.error(`SOAK_SEED=${seed}:`, error);
    process.exitCode = 1;
  },
);
