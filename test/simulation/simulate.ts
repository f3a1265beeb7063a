// npm run simulate: one seed with its story, many seeds on all cores, or the bugs that it must find.
//
//   --seed N            plays it twice, compares, and shows violations, shortened; --log shows all events, --keep FILE
//                       writes the short plan for the tests
//   --seeds N           from --from (1), on --processes (one per core)
//   --bugs              each bug until it is found; --bug WORDS only those with WORDS in their name
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { bugs } from './bugs/bugs';
import type { Bug } from './bugs/bug';
import { addTo, emptySummary, type Summary } from './many-seeds';
import { workThrough } from './pool';
import { digestOf, runSeed, type Result } from './run-seed';
import { shrink } from './shrink';
import { story } from './story';
import type { Task } from './worker';

const seedsPerTask = 100;
/** Each bug must be found within this number of seeds. */
const mostSeedsPerBug = 2_000;

const { values: asked } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
    bugs: { type: 'boolean', default: false },
    bug: { type: 'string' },
    log: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
});

async function oneSeed(seed: number): Promise<boolean> {
  const takeOut = asked.bug === undefined ? null : chosenBugs(asked.bug)[0]?.putIn();
  const [first, second] = [await runSeed(seed), await runSeed(seed)];
  console.log(`${first.log.length} events, digest ${digestOf(first.log)}`);
  const isSame = digestOf(first.log) === digestOf(second.log);
  if (!isSame) console.log('The second time was different.');
  if (asked.log) console.log(first.log.join('\n'));
  const failed = first.violations.length > 0;
  if (failed) tellFailure(await shrink(first));
  else console.log(`seed ${seed}: nothing is broken`);
  takeOut?.();
  return isSame && !failed;
}

function tellFailure(short: Result): void {
  console.log(story(short));
  if (asked.keep === undefined) return;
  const found = `${short.violations[0]!.promise}: ${short.violations[0]!.text}`;
  writeFileSync(asked.keep, `${JSON.stringify({ found, plan: short.plan }, null, 1)}\n`);
}

async function manySeeds(from: number, count: number): Promise<boolean> {
  const started = performance.now();
  const sum = emptySummary();
  let nextSeed = from;
  const next = (): Task | null => {
    if (nextSeed >= from + count) return null;
    const task = {
      kind: 'seeds',
      from: nextSeed,
      count: Math.min(seedsPerTask, from + count - nextSeed),
    } as const;
    nextSeed += task.count;
    return task;
  };
  await workThrough(Number(asked.processes), next, (_task, part) => {
    addTo(sum, part);
    for (const { seed, promise, text } of part.failed)
      console.log(`seed ${seed}: ${promise}: ${text.slice(0, 300)}`);
  });
  report(sum, (performance.now() - started) / 60_000);
  const first = sum.failed.sort((a, b) => a.seed - b.seed)[0];
  if (first !== undefined) console.log(story(await shrink(await runSeed(first.seed))));
  return first === undefined;
}

function report({ seeds, events, failed, faults, worst, shapes }: Summary, minutes: number): void {
  console.log(
    `${seeds} seeds, ${failed.length} failed; ${Math.round(seeds / minutes)} seeds a minute, ${Math.round(events / seeds)} events a seed`,
  );
  console.log('\nplans of each shape:');
  for (const [shape, times] of sorted(shapes)) console.log(`  ${String(times).padStart(8)}  ${shape}`);
  console.log('\nwhat went wrong, how often:');
  for (const [kind, times] of sorted(faults)) console.log(`  ${String(times).padStart(8)}  ${kind}`);
  console.log('\nthe worst that was seen:');
  for (const [what, { value, seed }] of Object.entries(worst).sort())
    console.log(`  ${String(Math.round(value * 1000) / 1000).padStart(10)}  ${what} (seed ${seed})`);
}

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort((a, b) => b[1] - a[1]);
}

function chosenBugs(words: string | undefined): Bug[] {
  return bugs.filter(({ name }) => words === undefined || name.includes(words));
}

async function findBugs(words: string | undefined): Promise<boolean> {
  const waiting = chosenBugs(words);
  const found: { bug: Bug; seed: number | null; promise: string }[] = [];
  const next = (): Task | null => {
    const bug = waiting.shift();
    return bug === undefined
      ? null
      : { kind: 'bug', name: bug.name, from: Number(asked.from), count: mostSeedsPerBug };
  };
  await workThrough(Number(asked.processes), next, (task, { failed }) => {
    if (task.kind !== 'bug') return;
    const [first] = failed;
    const bug = bugs.find(({ name }) => name === task.name)!;
    found.push({ bug, seed: first?.seed ?? null, promise: first?.promise ?? '' });
    const at =
      first === undefined
        ? `NOT FOUND in ${mostSeedsPerBug} seeds`
        : `seed ${first.seed}: ${first.promise}: ${first.text.slice(0, 150)}`;
    console.log(`${bug.name}\n    ${at}`);
  });
  const missed = found.filter(({ seed }) => seed === null);
  console.log(`\n${found.length} bugs, ${found.length - missed.length} found`);
  return missed.length === 0;
}

async function main(): Promise<void> {
  process.exitCode = (await asksFor()) ? 0 : 1;
}

function asksFor(): Promise<boolean> {
  if (asked.bugs) return findBugs(asked.bug);
  if (asked.seeds !== undefined) return manySeeds(Number(asked.from), Number(asked.seeds));
  return oneSeed(Number(asked.seed ?? '1'));
}

void main();
