// Entries in the former queue of an account: their number, and the choices for them.

import { basename } from 'node:path';
import type { EngineInfo, QueueKind } from '../../../src/delivery/index';
import { type DatabasePlace, schemaOf } from '../../../src/queue-postgres/index';
import { databaseName, sharedQueueKey } from '../connection/database';
import { queueFile } from './queue-file';

/** Place of an account's queue. */
export interface QueuePlace {
  readonly origin: string;
  readonly member: string;
  readonly queue: QueueKind;
  /** Of a shared queue; null while that is not known. */
  readonly database: DatabasePlace | null;
}

type Choice = 'keep' | 'move' | 'discard';

/** Reasons for missing choices, or explanations: keys of the form's catalogue. */
type Note = 'fromMemory' | 'ofSandbox' | 'toMemory' | 'toShared' | 'late';

export interface Choices {
  readonly choices: readonly Choice[];
  readonly notes: readonly Note[];
}

/** Whether the engine has the queue of this place. A database that is not known counts as the same. */
export function isAt(info: EngineInfo, { origin, member, queue, database }: QueuePlace): boolean {
  if (info.origin !== origin || info.member !== member || info.queue !== queue) return false;
  const its = info.database?.queues.place ?? null;
  return its === null || database === null || databaseName(its) === databaseName(database);
}

/** Entries that are not sent after the account has left the queue; other users of the queue still send it. */
export function leftBy(account: string, { engine, accounts }: EngineInfo): number {
  if (accounts.some(({ id }) => id !== account)) return 0;
  const { counters, shared } = engine.stats();
  if (shared === undefined) return counters.waiting;
  return shared.kept + (shared.instances.length > 1 ? 0 : shared.inLog);
}

/** The choices for queued entries when the account gets another queue. */
export function choicesOf(info: EngineInfo, to: QueuePlace): Choices {
  // A queue in memory discards them when its nodes close.
  if (info.queue === 'memory') return { choices: [], notes: ['fromMemory'] };
  const stays = whyNotMoved(info, to);
  // For another service or member nothing newer is sent meanwhile.
  const isLate = info.origin === to.origin && info.member === to.member;
  return {
    choices: stays === null ? ['keep', 'move', 'discard'] : ['keep', 'discard'],
    notes: [...(stays === null ? [] : [stays]), ...(isLate ? (['late'] as const) : [])],
  };
}

function whyNotMoved(from: EngineInfo, to: QueuePlace): Note | null {
  if (from.origin === 'sandbox' || to.origin === 'sandbox') return 'ofSandbox';
  if (to.queue === 'memory') return 'toMemory';
  // Other instances may have accepted newer entries of the same users.
  return to.queue === 'shared' ? 'toShared' : null;
}

/** The key of the orphaned queue in the tab's calls; null for a queue that does not survive. */
export function queryOf(userDir: string, info: EngineInfo): { readonly queue: string } | null {
  const { origin, member, queue, database } = info;
  if (queue === 'disk') return { queue: basename(queueFile(userDir, origin, member)) };
  const place = database?.queues.place ?? null;
  return place === null ? null : { queue: sharedQueueKey(place, schemaOf({ origin, member })) };
}
