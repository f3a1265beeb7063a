// A whole audience, of which 1 % has changed: from its last part to the first post, memory, disk, and what live events wait meanwhile.
import { existsSync, statSync } from 'node:fs';
import { queueFile } from '../../nodes/account/queue/queue-file';
import { memberId, segment } from '../support/audience';
import { growthChart } from '../support/chart';
import { percentile } from '../support/figures';
import { syncFlow } from '../support/flows';
import { newUserDir, startNodeRed, type NodeRed } from '../support/node-red';
import { nowMs, sleep } from '../support/process';
import { mb, ms, type PartResult, type Row } from '../support/report';
import { startService, type Bench, type Service } from '../support/setting';
import { startWorker } from '../support/worker';
import type { LiveWait } from '../workers/agent';
import type { operations as memberOperations } from '../workers/members';

const sizes = [100_000, 1_000_000, 10_000_000];
const perPart = 1_000;
const liveEveryMs = 25;
/** Of the bulk entries that live events overtake. */
const behind = 1_000_000;
const timeoutMs = 1_200_000;
const goals = { firstPostMs: 60_000, memoryBytes: 150e6, memberBytes: 120, waitMs: 100, liveMs: 2_000 };
/** Of a straight line, ten times the members: a quarter more than ten times. */
const straight = 12.5;
const flatBytes = 50e6;

interface Grown {
  readonly members: number;
  readonly memberBytes: number;
  readonly gatherMs: number;
  readonly sortMs: number;
  readonly countMs: number;
  readonly cpuMs: number;
  readonly memoryBytes: number;
  /** What live events wait until they are durable. */
  readonly waits: Readonly<Record<Phase, readonly number[]>>;
}

const phases = ['before', 'gathering', 'sorting', 'counting'] as const;
type Phase = (typeof phases)[number];

export const sync = async (bench: Bench): Promise<PartResult> => {
  const { service, url } = await startService(bench);
  const grown: Grown[] = [];
  for (const members of sizes) {
    grown.push(await measure(bench, service, url, members));
    // The next one takes minutes.
    console.log(lineOf(grown.at(-1)!));
  }
  const live = await overtaken(bench, service, url);
  return {
    title: 'A segment of which 1 % has changed',
    rows: [...rowsOf(grown.at(-1)!), ...live, ...growthRows(grown)],
    more: tableOf(grown),
    picture: { file: 'growth-members.svg', svg: chartOf(grown) },
  };
};

async function measure(bench: Bench, service: Service, url: string, members: number): Promise<Grown> {
  const userDir = await newUserDir(bench.workspace);
  const file = queueFile(userDir, url, '958');
  const filling = startWorker<typeof memberOperations>(bench.workspace, 'members');
  await filling.call('fill', file, members);
  await filling.stop();
  const memberBytes = statSync(file).size / members;
  const nodeRed = await startNodeRed(bench.workspace, 'node-red-sync', syncFlow(url, segment), {}, userDir);
  await service.call('set', { watch: '"user_id":"1' });
  await nodeRed.call('startLive', liveEveryMs);
  await sleep(5_000);
  // The same messages to a node that forgets them.
  await nodeRed.call('watchRss');
  await nodeRed.call('feedRun', 'nowhere', behind, perPart);
  const messagesRss = await nodeRed.call('highestRss');
  const startedMs = nowMs();
  await nodeRed.call('watchRss');
  const lastPartMs = await nodeRed.call('feedRun', 'rows', members, perPart);
  const cpuBefore = await nodeRed.call('cpuUs');
  const sortedMs = await when(nodeRed, () => existsSync(`${file}-sync-1.sorted`));
  let postedMs: number | null = null;
  await when(nodeRed, async () => {
    postedMs = (await service.call('report')).watchedAtMs;
    return postedMs !== null;
  });
  const cpuMs = ((await nodeRed.call('cpuUs')) - cpuBefore) / 1000;
  const memoryBytes = (await nodeRed.call('highestRss')) - messagesRss;
  const waits = await nodeRed.call('stopLive');
  await nodeRed.stop();
  const borders = [startedMs, lastPartMs, sortedMs, postedMs!];
  return {
    ...{ members, memberBytes, cpuMs, memoryBytes, waits: byPhase(waits, borders) },
    gatherMs: lastPartMs - startedMs,
    sortMs: sortedMs - lastPartMs,
    countMs: postedMs! - sortedMs,
  };
}

async function when(nodeRed: NodeRed, isSo: () => boolean | Promise<boolean>): Promise<number> {
  const end = nowMs() + timeoutMs;
  while (!(await isSo())) {
    if (nodeRed.ended || nowMs() > end) throw new Error(`It did not come to that:\n${nodeRed.output}`);
    await sleep(20);
  }
  return nowMs();
}

function byPhase(waits: readonly LiveWait[], borders: readonly number[]): Grown['waits'] {
  const phaseOf = (atMs: number): Phase =>
    phases[borders.filter((border) => border <= atMs).length] ?? 'counting';
  const its = (phase: Phase): number[] =>
    waits.filter(({ atMs }) => phaseOf(atMs) === phase).map(({ waitMs }) => waitMs);
  return {
    before: its('before'),
    gathering: its('gathering'),
    sorting: its('sorting'),
    counting: its('counting'),
  };
}

/** A live add and a live removal while a first run of a million users is sent. */
async function overtaken(bench: Bench, service: Service, url: string): Promise<Row[]> {
  const nodeRed = await startNodeRed(bench.workspace, 'node-red-sync', syncFlow(url, segment));
  await service.call('set', { watch: '"user_id":"1' });
  const fed = nodeRed.call('feedRun', 'rows', behind, perPart);
  await fed;
  await when(nodeRed, async () => (await service.call('report')).watchedAtMs !== null);
  await sleep(5_000);
  const rows: Row[] = [];
  // The last of all: it is far behind in the run.
  const removed = memberId(behind - 1);
  for (const [what, id, removes] of [
    ['add', '9000000000000000001', false],
    ['removal of a user of the run', removed, true],
  ] as const) {
    await service.call('set', { watch: `"${id}"` });
    const sentMs = await nodeRed.call('sendLive', id, removes);
    await when(nodeRed, async () => (await service.call('report')).watchedAtMs !== null);
    const tookMs = (await service.call('report')).watchedAtMs! - sentMs;
    rows.push({
      what: `a live ${what} behind ${behind.toLocaleString('en-US')} bulk entries, input → service`,
      figure: ms(tookMs),
      against: '',
      goal: `≤ ${goals.liveMs / 1000} s`,
      reached: tookMs <= goals.liveMs,
    });
  }
  await nodeRed.kill();
  return rows;
}

function rowsOf({ members, sortMs, countMs, cpuMs, memoryBytes, memberBytes, waits }: Grown): Row[] {
  const count = members.toLocaleString('en-US');
  const longest = (phase: Phase): number => Math.max(...waits[phase]);
  return [
    {
      what: `${count} members: last part → first post`,
      figure: ms(sortMs + countMs),
      against: `sort ${ms(sortMs)}, count and first chunk ${ms(countMs)}; ${ms(cpuMs)} of processor time`,
      goal: `≤ ${goals.firstPostMs / 1000} s`,
      reached: sortMs + countMs <= goals.firstPostMs,
    },
    {
      what: `${count} members: highest memory over an idle process that gets the messages`,
      figure: mb(memoryBytes),
      against: '',
      goal: `≤ ${mb(goals.memoryBytes)}`,
      reached: memoryBytes <= goals.memoryBytes,
    },
    {
      what: 'disk for a member, without staging',
      figure: `${memberBytes.toFixed(0)} bytes`,
      against: '',
      goal: `≤ ${goals.memberBytes} bytes`,
      reached: memberBytes <= goals.memberBytes,
    },
    ...(['sorting', 'counting'] as const).map((phase) => ({
      what: `longest wait of a live event until it is durable, while ${phase}`,
      figure: ms(longest(phase)),
      against: `before ${ms(longest('before'))}, while gathering ${ms(longest('gathering'))}`,
      goal: `≤ ${goals.waitMs} ms`,
      reached: longest(phase) <= goals.waitMs,
      note: `99 % within ${ms(percentile(waits[phase], 0.99))}, of ${waits[phase].length} events.`,
    })),
  ];
}

/** Whether time and disk grow in straight lines and memory stays. */
function growthRows(grown: readonly Grown[]): Row[] {
  const worst = (of: (each: Grown) => number): number =>
    Math.max(...grown.slice(1).map((each, at) => of(each) / of(grown[at]!)));
  const line = (what: string, times: number): Row => ({
    what: `ten times the members: ${what}, worse of both steps`,
    figure: `${times.toPrecision(3)} ×`,
    against: '10 ×',
    goal: `≤ ${straight} ×`,
    reached: times <= straight,
  });
  const memory = grown.map(({ memoryBytes }) => memoryBytes);
  const spread = Math.max(...memory) - Math.min(...memory);
  return [
    line(
      'last part → first post',
      worst(({ sortMs, countMs }) => sortMs + countMs),
    ),
    line(
      'disk',
      worst(({ members, memberBytes }) => members * memberBytes),
    ),
    {
      what: 'memory over idle, most − least',
      figure: mb(spread),
      against: '',
      goal: `≤ ${mb(flatBytes)}`,
      reached: spread <= flatBytes,
    },
  ];
}

function tableOf(grown: readonly Grown[]): string {
  return [
    '![Time, disk and memory with 100,000, 1,000,000 and 10,000,000 members](../images/growth-members.svg)',
    '',
    `| members | gathered (arrays of ${perPart.toLocaleString('en-US')}) | sorted | counted, to the first post | processor time from the last part | memory over idle | disk a member | longest wait of a live event: before | gathering | sorting | counting |`,
    `|${' --- |'.repeat(11)}`,
    ...grown.map(lineOf),
    '',
    `In a real Node-RED, queue on disk, without encryption. Memory is over the highest of the same process while a function node gets the same messages. A live event comes every ${liveEveryMs} ms, for the same segment.`,
  ].join('\n');
}

function lineOf(each: Grown): string {
  const { members, gatherMs, sortMs, countMs, cpuMs, memoryBytes, memberBytes, waits } = each;
  const times = [gatherMs, sortMs, countMs, cpuMs].map(ms);
  const longest = phases.map((phase) => ms(Math.max(...waits[phase])));
  const cells = [
    members.toLocaleString('en-US'),
    ...times,
    mb(memoryBytes),
    `${memberBytes.toFixed(0)} B`,
    ...longest,
  ];
  return `| ${cells.join(' | ')} |`;
}

function chartOf(grown: readonly Grown[]): string {
  const of = (y: (each: Grown) => number): number[] => grown.map(y);
  const title = 'Time, disk and memory of a run by the number of members';
  return growthChart({ what: 'members', sizes, title }, [
    {
      label: 'seconds to the first post',
      lines: [{ values: of(({ sortMs, countMs }) => (sortMs + countMs) / 1000) }],
    },
    {
      label: 'MB on disk',
      lines: [{ values: of(({ members, memberBytes }) => (members * memberBytes) / 1e6) }],
    },
    { label: 'MB of memory over idle', lines: [{ values: of(({ memoryBytes }) => memoryBytes / 1e6) }] },
  ]);
}
