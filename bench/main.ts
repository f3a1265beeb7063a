// npm run bench: measures everything side by side in one run, prints a table and writes docs/internals/benchmarks.md.
//
// npm run bench -- --long        the long parts instead, into docs/internals/benchmarks-long.md
// npm run bench -- idle cpu      only these parts, of either; no page is written
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
}

const page: Page = {
  title: 'What the bench measured',
  file: 'benchmarks.md',
  link: 'By `npm run bench`. Quota, growth and failover have a [page of their own](benchmarks-long.md).',
  parts: { network, updates, idle, cpu, arrays, burst, held, appends, shared },
};
/** `backlog` compares with a rate that `quota` measures. */
const longPage: Page = {
  title: 'What the long bench measured',
  file: 'benchmarks-long.md',
  link: 'By `npm run bench -- --long`. Everything else is on [another page](benchmarks.md).',
  parts: { quota, backlog, failover },
};
/** No part may take longer. */
const partMs = 300_000;

async function runPart(name: string, part: Part, bench: Bench): Promise<PartResult> {
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

/** The parts of the page, or those of either page that are named. */
function chosenParts({ parts }: Page, names: readonly string[]): [string, Part][] {
  if (names.length === 0) return Object.entries(parts);
  const all = { ...page.parts, ...longPage.parts };
  const unknown = names.filter((name) => !(name in all));
  if (unknown.length > 0)
    throw new Error(`There is no part ${unknown.join(', ')}; there are ${Object.keys(all).join(', ')}.`);
  return Object.entries(all).filter(([name]) => names.includes(name));
}

async function measure(code: string | null, parts: readonly [string, Part][]): Promise<PartResult[]> {
  const workspace = await makeWorkspace(code);
  const results: PartResult[] = [];
  try {
    const bench: Bench = { workspace, shared: {} };
    for (const [name, part] of parts) {
      const result = await runPart(name, part, bench);
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
    options: { code: { type: 'string' }, long: { type: 'boolean' } },
  });
  const wanted = values.long === true ? longPage : page;
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
