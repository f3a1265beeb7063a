// The store as compiled JavaScript in a folder of its own, as in dist: for child processes and fast threads.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

import type * as sqliteStore from '../../src/queue/sqlite/sqlite-store';

const sources = join(__dirname, '../../src/queue/sqlite');

export interface Compiled {
  readonly directory: string;
  readonly SqliteStore: typeof sqliteStore.SqliteStore;
  remove(): void;
}

export function compileStore(): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'outbox-compiled-'));
  const entryPoints = ['sqlite-store', 'sqlite-log', 'sqlite-worker', 'staging-worker'].map((name) =>
    join(sources, `${name}.ts`),
  );
  buildSync({
    entryPoints,
    outdir: directory,
    bundle: true,
    packages: 'external',
    external: ['./sqlite-worker', './staging-worker'],
    platform: 'node',
    target: 'es2023',
  });
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { SqliteStore } = require(join(directory, 'sqlite-store.js')) as typeof sqliteStore;
  return { directory, SqliteStore, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
