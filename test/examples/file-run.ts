// A CSV file of any size through “file to audience”, as imported or with a quota that lets a million through.
import { strict as assert } from 'node:assert';
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cleanUps } from '../support/clean-up';
import { until, type CommsLog } from '../support/node-red';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import {
  assertLines,
  count,
  debugs,
  device,
  ExampleSite,
  lines,
  nodeOf,
  readExample,
  report,
  useSandboxAt,
} from './support';

export interface FileRun {
  readonly rows: number;
  /** Each has rows beside one another. */
  readonly users: number;
  /** Sends to a sandbox without limits, so fast; without it the example is as imported. */
  readonly limits?: Readonly<Record<'postsPerSecond' | 'usersPerSecond', number>>;
  /** Node-RED's memory may not grow by more, in MB. */
  readonly mostMb?: number;
  readonly timeoutMs?: number;
}

const file = 'audience.csv';
/** Rows that are wrong, among the others. */
const wrong = 3;

export function fileToAudience({ rows, users, limits, mostMb, timeoutMs = 30_000 }: FileRun): void {
  const ends = cleanUps();

  it(`streams ${count(rows, 'rows')} and shows done, rate and time left`, async () => {
    const flow = readExample('file to audience');
    let sandbox: StandAloneSandbox | null = null;
    if (limits !== undefined) {
      sandbox = await StandAloneSandbox.start({ limits: 'none' });
      const started = sandbox;
      ends(() => started.kill());
      useSandboxAt(nodeOf(flow, 'xandr-account'), sandbox.url, limits);
    }
    const site = await ExampleSite.start(flow);
    ends(() => site.close());
    await writeCsv(path.join(site.userDir, file), rows, users);
    const comms = await site.running.comms();
    const progress = (): string[] =>
      comms.on(`status/${nodeOf(flow, 'function', 'next page').id}`).map(({ text }) => text as string);
    const startedMs = performance.now();
    const memory = limits === undefined ? null : new MemoryWatch(site);
    await site.press(nodeOf(flow, 'inject', 'read the file'));
    const all = `${(rows + wrong).toLocaleString('en')} rows done`;
    await until(
      () => progress().at(-1) === all,
      timeoutMs,
      () => `the status “${all}” instead of “${progress().at(-1) ?? ''}”; log:\n${site.log}`,
    );
    const seconds = (performance.now() - startedMs) / 1000;
    assertLines(
      lines(await (sandbox === null ? site.sandboxState() : sandbox.state())),
      Array.from({ length: users }, (_, n) => `${10_001 + (n % 3)} ${device(n)}`),
    );
    assert.ok(
      progress().some((text) => /^[\d,]+ rows done · \d+\/s · \d+:\d\d left$/.test(text)),
      `done, rate and time left in one of: ${progress().join(' | ')}`,
    );
    await assertWrongRowsSaid(comms);
    comms.close();
    const { size } = await stat(path.join(site.userDir, file));
    const peak = await memory?.stop();
    if (mostMb !== undefined && peak !== undefined)
      assert.ok(peak.growthMb < mostMb, `memory grew by ${peak.growthMb} MB`);
    report(
      'file to audience',
      `a file of ${(size / 1_000_000).toFixed(1)} MB`,
      count(rows, 'rows'),
      `${count(users, 'memberships as expected')}, ${Math.round(rows / seconds).toLocaleString('en')} rows/s${
        peak === undefined ? '' : `, memory at most ${peak.mostMb} MB (+${peak.growthMb})`
      }`,
      startedMs,
    );
  });
}

/** One that a spreadsheet would have written: quotes, Windows line ends, an empty last line. */
async function writeCsv(to: string, rows: number, users: number): Promise<void> {
  function* text(): Generator<string> {
    yield 'user_id,id_type,segment,days\r\n';
    for (let n = 0; n < wrong; n += 1) yield `"not, an id ${n}",idfa,10001,30\r\n`;
    let chunk = '';
    for (let n = 0; n < rows; n += 1) {
      const user = Math.floor((n * users) / rows);
      chunk += `"${device(user)}",idfa,${10_001 + (user % 3)},30\r\n`;
      if (chunk.length < 60_000) continue;
      yield chunk;
      chunk = '';
    }
    yield chunk;
  }
  await pipeline(Readable.from(text()), createWriteStream(to));
}

async function assertWrongRowsSaid(comms: CommsLog): Promise<void> {
  const said = (): number =>
    debugs(comms, 'problems').flatMap(({ rejected }) => rejected as unknown[]).length;
  await until(
    () => said() === wrong,
    5_000,
    () => `${wrong} rows that were not built instead of ${said()}`,
  );
}

/** What Node-RED's process holds in memory, by its own diagnostics, sampled. */
class MemoryWatch {
  private readonly samples: number[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly site: ExampleSite) {
    this.timer = setInterval(() => void this.sample().catch(() => undefined), 500).unref();
  }

  async stop(): Promise<{ mostMb: number; growthMb: number }> {
    clearInterval(this.timer);
    await this.sample();
    const most = Math.max(...this.samples);
    return { mostMb: Math.round(most), growthMb: Math.round(most - this.samples[0]!) };
  }

  private async sample(): Promise<void> {
    const { nodejs } = await this.site.running.json('diagnostics');
    this.samples.push(nodejs.memoryUsage.rss / 1_000_000);
  }
}
