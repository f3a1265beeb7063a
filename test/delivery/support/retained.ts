// Retained memory of an engine: walks its objects, whatever its fields are called.
import { types } from 'node:util';
import type { Engine } from '../../../src/delivery/engine';
import { PendingMessage } from '../../../src/delivery/pending-messages';
import { PendingEntry } from '../../../src/delivery/pending/pending-entry';
import { User } from '../../../src/delivery/pending/user';

export interface Retained {
  entries: number;
  users: number;
  pendingMessages: number;
}

/**
 * Counts objects that are reachable from the engine without passing through `except` (such as its store, which
 * has limits of its own).
 */
export function retainedBy(engine: Engine, except: readonly object[]): Retained {
  const found: Retained = { entries: 0, users: 0, pendingMessages: 0 };
  const seen = new Set<object>(except);
  const waiting: object[] = [engine];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (next instanceof PendingEntry) found.entries += 1;
    else if (next instanceof User) found.users += 1;
    else if (next instanceof PendingMessage) found.pendingMessages += 1;
    for (const value of valuesOf(next)) {
      if (typeof value === 'object' && value !== null) waiting.push(value);
    }
  }
  return found;
}

function* valuesOf(thing: object): Iterable<unknown> {
  if (types.isMap(thing)) for (const pair of thing) yield* pair;
  else if (types.isSet(thing) || Array.isArray(thing)) yield* thing;
  else if (!ArrayBuffer.isView(thing)) yield* Object.values(thing);
}
