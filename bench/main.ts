// npm run bench: measures everything side by side in one run, prints a table and writes docs/internals/benchmarks.md.
//
// npm run bench -- idle cpu      only these parts; the page stays as it is
// npm run bench -- --code DIR    measures the package in DIR (package.json and dist/) instead of building this one
// BENCH_PROFILE=engine,node-red-memory   writes CPU profiles of these processes into the temporary folder
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { appends } from './parts/appends';
import { arrays } from './parts/arrays';
import { backlog } from './parts/backlog';
import { cpu } from './parts/cpu';
import { failover } from './parts/failover';
import { idle } from './parts/idle';
import { network } from './parts/network';
import { quota } from './parts/quota';
import { shared } from './parts/shared';
import { updates } from './parts/updates';
import { asMarkdown, asText, mayBeQuoted, notToBeQuoted, type PartResult } from './support/report';
import type { Bench, Part } from './support/setting';
import { stopAllWorkers } from './support/worker';
import { makeWorkspace, removeWorkspace, root } from './support/workspace';

/** `backlog` compares with a rate that `quota` measures. */
const parts: Readonly<Record<string, Part>> = {
  quota,
  network,
  updates,
  idle,
  cpu,
  arrays,
  appends,
  backlog,
  shared,
  failover,
};
/** No part may take longer. */
const partMs = 180_000;

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
    `${cpus().length} × ${first?.model ?? 'unknown processor'}, ${Math.round(totalmem() / 1e9)} GB, ${process.platform} ${release()}, Node ${process.version}; the whole run took ${Math.round(tookMs / 1000)} s.`,
    `Load average when it began: ${startedLoad.toFixed(2)}. ${mayBeQuoted(startedLoad) ? 'The machine was quiet.' : notToBeQuoted}`,
    'All rows are of one run on one machine; compare the ratios, not the figures, with those of another.',
  ];
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { code: { type: 'string' } },
  });
  const unknown = positionals.filter((name) => !(name in parts));
  if (unknown.length > 0)
    throw new Error(`There is no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}.`);
  const startedMs = performance.now();
  const [load = 0] = loadavg();
  const workspace = await makeWorkspace(values.code ?? null);
  const results: PartResult[] = [];
  try {
    const bench: Bench = { workspace, shared: {} };
    for (const [name, part] of Object.entries(parts)) {
      if (positionals.length > 0 && !positionals.includes(name)) continue;
      const result = await runPart(name, part, bench);
      results.push(result);
      console.log(`${asText(result)}\n`);
    }
  } finally {
    await stopAllWorkers();
    await removeWorkspace(workspace);
  }
  const text = asMarkdown(results, factsOf(load, performance.now() - startedMs));
  if (positionals.length === 0) await writeFile(path.join(root, 'docs', 'internals', 'benchmarks.md'), text);
  const missed = results.flatMap(({ rows }) => rows).filter(({ reached }) => reached === false);
  console.log(missed.length === 0 ? 'Every goal is reached.' : `Goals not reached: ${missed.length}`);
  for (const { what, figure, goal } of missed) console.log(`  ${what}: ${figure}, goal ${goal ?? ''}`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
