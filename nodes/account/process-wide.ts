// Objects that all accounts of a process share: engines (one a service and member), orphaned queues, and the sandbox.

import type { NodeAPI } from 'node-red';
import { Registry } from '../../src/delivery/index';
import type { DatabaseQueues } from '../../src/queue-postgres/index';
import { SharedSandbox } from '../../src/sandbox/index';
import { OrphanedQueues } from './queue/orphaned-queues';
import { queueSecrets } from './queue/queue-secret';

export const engines = new Registry();
export const sandbox = new SharedSandbox();
/** Databases in which accounts left entries when they were given another queue, by their identity. */
export const leftDatabases = new Map<string, DatabaseQueues>();

/** By user directory. */
const left = new Map<string, OrphanedQueues>();

/** One for all callers, since each scan opens files. */
export function orphanedQueuesOf(RED: NodeAPI): OrphanedQueues {
  const userDir = RED.settings.userDir ?? '.';
  const known = left.get(userDir);
  if (known !== undefined) return known;
  const made = new OrphanedQueues(
    userDir,
    () => engines.list(),
    () => queueSecrets(RED),
  );
  left.set(userDir, made);
  return made;
}
