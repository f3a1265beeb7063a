// The outbox as compiled JavaScript in a folder of its own, as dist has it: for child processes and quick threads.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { transformSync } from 'esbuild';

import type * as sqliteOutbox from '../../src/outbox/sqlite-outbox';

const sources = join(__dirname, '../../src/outbox');

export interface Compiled {
  readonly directory: string;
  readonly SqliteOutbox: typeof sqliteOutbox.SqliteOutbox;
  remove(): void;
}

export function compileOutbox(): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'outbox-compiled-'));
  for (const file of readdirSync(sources)) {
    const { code } = transformSync(readFileSync(join(sources, file), 'utf8'), {
      loader: 'ts',
      format: 'cjs',
      target: 'es2023',
    });
    writeFileSync(join(directory, file.replace(/\.ts$/, '.js')), code);
  }
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { SqliteOutbox } = require(join(directory, 'sqlite-outbox.js')) as typeof sqliteOutbox;
  return { directory, SqliteOutbox, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
