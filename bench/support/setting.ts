// The setting of a part of the bench, and the service that it posts to.
import type { operations as engineOperations } from '../workers/engine';
import type { operations as serviceOperations } from '../workers/service';
import type { PartResult } from './report';
import { startWorker, type Worker, type WorkerStart } from './worker';
import type { Workspace } from './workspace';

export type Service = Worker<typeof serviceOperations>;
export type EngineProcess = Worker<typeof engineOperations>;

/** Figures of one part that another one compares with. */
interface Shared {
  /** Users a second of the core-nodes flow at the documented quota. */
  coreUsersPerSecond?: number;
}

export interface Bench {
  readonly workspace: Workspace;
  readonly shared: Shared;
}

export type Part = (bench: Bench) => Promise<PartResult>;

export const documented = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };
/** The service's own limits a call stay. */
export const lifted = { postsPerSecond: 10_000, usersPerSecond: 1_000_000, maxConcurrent: 15 };

export async function startService(
  { workspace }: Bench,
  host = '127.0.0.1',
  start: WorkerStart = {},
): Promise<{ service: Service; url: string }> {
  const service = startWorker<typeof serviceOperations>(workspace, 'service', start);
  return { service, url: await service.call('listen', host) };
}

export function startEngine({ workspace }: Bench, start: WorkerStart = {}): EngineProcess {
  return startWorker<typeof engineOperations>(workspace, 'engine', start);
}

let files = 0;

/** A new file for an store. */
export function newFile({ workspace }: Bench): string {
  files += 1;
  return `${workspace.folder}/store-${files}.sqlite`;
}

export const sleep = (delayMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, delayMs));

/** Waits until the service has answered so many users; false when it does not in time. */
export async function answered(service: Service, users: number, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while ((await service.call('counts')).answeredUsers < users) {
    if (performance.now() > end) return false;
    await sleep(20);
  }
  return true;
}
