// npm run bench: measures everything side by side in one run, prints a table and writes docs/internals/benchmarks.md.
//
// npm run bench -- --long        the long parts instead, into docs/internals/benchmarks-long.md
// npm run bench -- --sync        whole audiences of up to 10,000,000 members, into docs/internals/benchmarks-sync.md
// npm run bench -- idle cpu      only these parts, of any page; no page is written
// npm run bench -- --code DIR    measures the package in DIR (package.json and dist/) instead of building this one
// BENCH_PROFILE=engine,node-red-memory   writes CPU profiles of these processes into the temporary folder
//
// No page is written either when the machine is not quiet before the start.
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { appends } from './parts/appends';
import { arrays } from './parts/arrays';
import { backlog } from './parts/backlog';
import { burst } from './parts/burst';
import { cpu } from './parts/cpu';
import { failover } from './parts/failover';
import { held } from './parts/held';
import { idle } from './parts/idle';
import { network } from './parts/network';
import { quota } from './parts/quota';
import { shared } from './parts/shared';
import { sync } from './parts/sync';
import { updates } from './parts/updates';
import { asMarkdown, asText, quietLoad, type PartResult } from './support/report';
import type { Bench, Part } from './support/setting';
import { stopAllWorkers } from './support/worker';
import { makeWorkspace, removeWorkspace, root } from './support/workspace';

interface Page {
  readonly title: string;
  readonly file: string;
  /** Says where the rest is. */
  readonly link: string;
  readonly parts: Readonly<Record<string, Part>>;
  /** No part may take longer. */
  readonly partMs: number;
}

const page: Page = {
  title: 'What the bench measured',
  file: 'benchmarks.md',
  link: 'By `npm run bench`. Quota, growth and failover have a [page of their own](benchmarks-long.md).',
  parts: { network, updates, idle, cpu, arrays, burst, held, appends, shared },
  partMs: 300_000,
};
/** `backlog` compares with a rate that `quota` measures. */
const longPage: Page = {
  title: 'What the long bench measured',
  file: 'benchmarks-long.md',
  link: 'By `npm run bench -- --long`. Everything else is on [another page](benchmarks.md).',
  parts: { quota, backlog, failover },
  partMs: 300_000,
};
const syncPage: Page = {
  title: 'What the bench of the audience sync measured',
  file: 'benchmarks-sync.md',
  link: 'By `npm run bench -- --sync`. How it works is in [sync.md](sync.md).',
  parts: { sync },
  partMs: 3_600_000,
};
const pages = [page, longPage, syncPage];

async function runPart(name: string, part: Part, partMs: number, bench: Bench): Promise<PartResult> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${partMs / 1000} s`)), partMs);
  });
  try {
    return await Promise.race([part(bench), tooLong]);
  } catch (error) {
    const note = error instanceof Error ? error.message : String(error);
    return { title: name, rows: [{ what: name, figure: 'failed', against: '', reached: false, note }] };
  } finally {
    clearTimeout(timer);
    await stopAllWorkers();
  }
}

function factsOf(startedLoad: number, tookMs: number): string[] {
  const [first] = cpus();
  return [
    `Measured on ${new Date().toISOString().slice(0, 10)}.`,
    `${cpus().length} × ${first?.model ?? 'unknown processor'}, ${Math.round(totalmem() / 1e9)} GB, ${type()} ${release()}, Node ${process.version}; the whole run took ${Math.round(tookMs / 1000)} s.`,
    `Load average when it began: ${startedLoad.toFixed(2)}.`,
    'All rows are of one run on one machine; compare the ratios, not the figures, with those of another.',
  ];
}

interface Chosen {
  readonly name: string;
  readonly part: Part;
  readonly partMs: number;
}

/** The parts of the page, or those of any page that are named. */
function chosenParts(wanted: Page, names: readonly string[]): Chosen[] {
  const partsOf = ({ parts, partMs }: Page): Chosen[] =>
    Object.entries(parts).map(([name, part]) => ({ name, part, partMs }));
  if (names.length === 0) return partsOf(wanted);
  const all = pages.flatMap(partsOf);
  const unknown = names.filter((name) => !all.some((each) => each.name === name));
  if (unknown.length > 0)
    throw new Error(
      `There is no part ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}.`,
    );
  return all.filter(({ name }) => names.includes(name));
}

async function measure(code: string | null, parts: readonly Chosen[]): Promise<PartResult[]> {
  const workspace = await makeWorkspace(code);
  const results: PartResult[] = [];
  try {
    const bench: Bench = { workspace, shared: {} };
    for (const { name, part, partMs } of parts) {
      const result = await runPart(name, part, partMs, bench);
      results.push(result);
      console.log(`${asText(result)}\n`);
    }
  } finally {
    await stopAllWorkers();
    await removeWorkspace(workspace);
  }
  return results;
}

async function write({ title, file, link }: Page, facts: readonly string[], results: readonly PartResult[]) {
  const docs = path.join(root, 'docs');
  await writeFile(path.join(docs, 'internals', file), asMarkdown(title, [...facts, link], results));
  for (const { picture } of results)
    if (picture !== undefined) await writeFile(path.join(docs, 'images', picture.file), picture.svg);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { code: { type: 'string' }, long: { type: 'boolean' }, sync: { type: 'boolean' } },
  });
  const wanted = values.sync === true ? syncPage : values.long === true ? longPage : page;
  const parts = chosenParts(wanted, positionals);
  const startedMs = performance.now();
  const [load = 0] = loadavg();
  const results = await measure(values.code ?? null, parts);
  const missed = results.flatMap(({ rows }) => rows).filter(({ reached }) => reached === false);
  console.log(missed.length === 0 ? 'Every goal is reached.' : `Goals not reached: ${missed.length}`);
  for (const { what, figure, goal } of missed) console.log(`  ${what}: ${figure}, goal ${goal ?? ''}`);
  if (positionals.length > 0) return;
  if (load <= quietLoad) await write(wanted, factsOf(load, performance.now() - startedMs), results);
  else
    console.log(
      `The load was ${load.toFixed(2)} before the start, above ${quietLoad}: ${wanted.file} stays as it is.`,
    );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
