// The package's compiled modules: what users run, not a bundle and not sources compiled on the fly. Only their
// types come from the sources.
import { createRequire } from 'node:module';
import path from 'node:path';
import type { CheckedEntry } from '../../src/entry/entry';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import type { QueueStore } from '../../src/queue/store';
import { turn } from '../support/process';
import type { PlainEntry } from './entries';
import type * as checkModule from '../../src/entry/check';
import type * as clockModule from '../../src/clock';
import type * as engineModule from '../../src/delivery/engine';
import type * as postgresModule from '../../src/queue-postgres/postgres-log';
import type * as sqliteModule from '../../src/queue/sqlite/sqlite-store';
import type * as clientModule from '../../src/service/client';
import type * as memberKeyModule from '../../src/entry/member-key';
import type * as stateModule from '../../src/sync/state';

const require = createRequire(__filename);

function load(file: string): unknown {
  return require(path.join(process.env.BENCH_PACKAGE!, 'dist', 'src', `${file}.js`));
}

export const { memberKeyOf } = load('entry/member-key') as typeof memberKeyModule;
export const { newState } = load('sync/state') as typeof stateModule;
const { checkEntry } = load('entry/check') as typeof checkModule;
export const { systemClock } = load('clock') as typeof clockModule;
export const { Engine } = load('delivery/engine') as typeof engineModule;
export const { SqliteStore } = load('queue/sqlite/sqlite-store') as typeof sqliteModule;
const { ServiceClient } = load('service/client') as typeof clientModule;
export const { PostgresLog } = load('queue-postgres/postgres-log') as typeof postgresModule;

export const caps = { queueMaxEntries: 5_000_000, queueMaxBytes: 2_048_000_000 };

/** As the out node does it. */
export function checked(entry: PlainEntry): CheckedEntry {
  const result = checkEntry(entry);
  if (result.ok) return result.entry;
  throw new Error(`An entry of the bench is refused: ${JSON.stringify(result.issues)}`);
}

/** An account for a queue, which posts with this token. */
export function accountAt(url: string, maxConcurrent: number, token: string) {
  const client = new ServiceClient({ authUrl: url, serviceUrl: url, maxConcurrent });
  return {
    account: 'bench',
    token: () => Promise.resolve({ kind: 'token', token } as const),
    refused: () => undefined,
    post: (body: string, its: string, mayLeave: () => boolean) => client.post(body, its, mayLeave),
    networkFloorMs: () => client.networkFloorMs(systemClock.monoMs()),
  };
}

/** A started engine, as an account node makes it. */
export async function openEngine(
  url: string,
  store: QueueStore,
  limits: Limits,
  account = accountAt(url, limits.maxConcurrent, 'bench'),
) {
  const engine = new Engine({ ...caps, store, clock: systemClock, random: Math.random, limits });
  engine.attach(account);
  engine.onRecovered('bench', () => undefined);
  engine.start();
  while (engine.stats().state.kind === 'starting') await turn();
  return engine;
}
