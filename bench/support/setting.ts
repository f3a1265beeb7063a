// The setting of a part of the bench, and the service that it posts to.
import type { operations as engineOperations } from '../workers/engine';
import type { operations as serviceOperations, Report } from '../workers/service';
import { coreFlow, type CoreFlow } from './flows';
import { startNodeRed, type NodeRed } from './node-red';
import type { PartResult } from './report';
import { sleep } from './process';
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

/**
 * What the service saw of `users` messages of one user each, through an engine on disk at the documented quota, and what the
 * rate limiter deducted from a round trip in the end.
 */
export async function throughEngine(
  bench: Bench,
  { service, url }: { readonly service: Service; readonly url: string },
  users: number,
  roundTripMs = 0,
  start: WorkerStart = {},
): Promise<Report & { readonly deductedMs: number }> {
  await service.call('set', { roundTripMs, distinct: true });
  const engine = startEngine(bench, start);
  await engine.call('open', { url, file: newFile(bench), limits: documented });
  const feed = { first: 1, users, rounds: 1, perMessage: 1, completeOn: 'accepted' } as const;
  await engine.call('feed', { ...feed, outstanding: 50_000 });
  const deductedMs = await engine.call('networkFloorMs');
  await engine.stop();
  return { ...(await service.call('report')), deductedMs };
}

/** Whether posts, users and calls in flight kept to the limits of the service. */
export function withinLimits({ worstPosts, worstUsers, mostInFlight }: Report): boolean {
  return (
    worstPosts <= documented.postsPerSecond &&
    worstUsers <= documented.usersPerSecond &&
    mostInFlight <= documented.maxConcurrent
  );
}

/** A flow of core nodes that keeps to the quota. */
export function startCore({ workspace }: Bench, url: string, start: WorkerStart = {}): Promise<NodeRed> {
  const flow = coreFlow({ url, usersPerPost: 10, joinSeconds: 0.02, postsPerSecond: 100 });
  return startNodeRed(workspace, 'node-red', flow, start);
}

/** What the service saw of `users` messages of one user each, through core nodes that keep to the quota. */
export async function throughCore(
  core: NodeRed,
  service: Service,
  users: number,
  roundTripMs = 0,
): Promise<Report> {
  await service.call('set', { roundTripMs, distinct: true });
  await core.call('send', 1, users, 100);
  await answered(service, users, 30_000);
  return service.call('report');
}

/** The cheapest flow of core nodes, as many users in a post as the service takes, with the quota lifted. */
export function fastCore(url: string): CoreFlow {
  return { url, usersPerPost: 1000, joinSeconds: 1, postsPerSecond: 10_000 };
}

let files = 0;

/** A new file for an store. */
export function newFile({ workspace }: Bench): string {
  files += 1;
  return `${workspace.folder}/store-${files}.sqlite`;
}

/** Sends so many users through a flow; resolves when the service has answered all of them. */
export async function sendAll(flow: NodeRed, service: Service, first: number, users: number, perTurn = 500) {
  await service.call('set', {});
  await flow.call('send', first, users, perTurn);
  if (!(await answered(service, users, 60_000)))
    throw new Error(`Not all ${users} users came through:\n${flow.output}`);
}

/** Waits until the service has answered so many users; false when it does not in time. */
export async function answered(service: Service, users: number, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while ((await service.call('counts')).answeredUsers < users) {
    if (performance.now() > end) return false;
    await sleep(20);
  }
  return true;
}
