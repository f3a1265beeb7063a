// The package's compiled modules: what users run, not a bundle and not sources compiled on the fly. Only their
// types come from the sources.
import { createRequire } from 'node:module';
import path from 'node:path';
import type * as checkModule from '../../src/entry/check';
import type * as clockModule from '../../src/clock';
import type * as engineModule from '../../src/delivery/engine';
import type * as sharedModule from '../../src/delivery/shared/shared-queue';
import type * as postgresModule from '../../src/queue-postgres/postgres-log';
import type * as sqliteModule from '../../src/queue/sqlite/sqlite-store';
import type * as clientModule from '../../src/service/client';

const require = createRequire(__filename);

function load(file: string): unknown {
  return require(path.join(process.env.BENCH_PACKAGE!, 'dist', 'src', `${file}.js`));
}

export const { checkEntry } = load('entry/check') as typeof checkModule;
export const { systemClock } = load('clock') as typeof clockModule;
export const { Engine } = load('delivery/engine') as typeof engineModule;
export const { SqliteStore } = load('queue/sqlite/sqlite-store') as typeof sqliteModule;
export const { ServiceClient } = load('service/client') as typeof clientModule;
export const { PostgresLog } = load('queue-postgres/postgres-log') as typeof postgresModule;
export const { SharedQueue } = load('delivery/shared/shared-queue') as typeof sharedModule;
