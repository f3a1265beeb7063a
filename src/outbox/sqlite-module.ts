// The built-in `node:sqlite`, loaded when it is first needed: Node 22.9 to 22.12 have it behind a flag only.

import type * as sqlite from 'node:sqlite';

import { OutboxError } from './outbox';

export type SqliteModule = typeof sqlite;

/** Throws an OutboxError `unavailable` where this Node has no `node:sqlite`. */
export function sqliteModule(
  load: () => unknown = () => process.getBuiltinModule('node:sqlite'),
): SqliteModule {
  const found = tryLoad(load);
  if (found === undefined) {
    throw new OutboxError(
      'unavailable',
      `A queue on disk needs Node.js 22.13 or newer; this is ${process.version}. Update Node.js, or choose the queue in memory.`,
    );
  }
  return found;
}

function tryLoad(load: () => unknown): SqliteModule | undefined {
  try {
    return load() as SqliteModule | undefined;
  } catch {
    return undefined;
  }
}
