// The outbox as compiled JavaScript in a folder of its own, as dist has it: for child processes and quick threads.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

import type * as sqliteOutbox from '../../src/outbox/sqlite-outbox';

const sources = join(__dirname, '../../src/outbox');

export interface Compiled {
  readonly directory: string;
  readonly SqliteOutbox: typeof sqliteOutbox.SqliteOutbox;
  remove(): void;
}

export function compileOutbox(): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'outbox-compiled-'));
  const entryPoints = ['sqlite-outbox', 'sqlite-log', 'sqlite-worker'].map((name) =>
    join(sources, `${name}.ts`),
  );
  buildSync({
    entryPoints,
    outdir: directory,
    bundle: true,
    packages: 'external',
    external: ['./sqlite-worker'],
    platform: 'node',
    target: 'es2023',
  });
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { SqliteOutbox } = require(join(directory, 'sqlite-outbox.js')) as typeof sqliteOutbox;
  return { directory, SqliteOutbox, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
