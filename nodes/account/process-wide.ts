// What all accounts of a process share: the engines, one for each service and member, and the sandbox.

import { Engines } from '../../src/delivery/engines';
import type { DatabaseQueues } from '../../src/outbox/database-queues';
import { SharedSandbox } from '../../src/sandbox/shared-sandbox';

export const engines = new Engines();
export const sandbox = new SharedSandbox();
/** Databases in which accounts left entries when they were given another queue, by their identity. */
export const leftDatabases = new Map<string, DatabaseQueues>();
