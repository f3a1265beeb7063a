// Ends of messages that were not queued.

import { shortenThrown } from '../../entry/shorten';
import { QueueError } from '../../queue/store';
import type { MessageEnd } from '../pending-messages';

/** Limits of the queue; messages beyond them are refused. */
export interface QueueCaps {
  readonly queueMaxEntries: number;
  readonly queueMaxBytes: number;
}

type Failed = Extract<MessageEnd, { kind: 'failed' }>;

/** End of a message without entries. */
export const nothingEnd: MessageEnd = {
  kind: 'settled',
  summary: {
    entries: 0,
    users: 0,
    associations: 0,
    accepted: 0,
    superseded: 0,
    expired: 0,
    warnings: [],
  },
  rejections: [],
};

export function storeEnd(error: QueueError): Failed {
  return { kind: 'failed', code: 'outbox', message: error.message, params: { reason: error.message } };
}

/** Too many messages wait while the queue is being opened. */
export const openingEnd = storeEnd(
  new QueueError(
    'unavailable',
    'The queue is still being opened, and too many messages wait for it. Send this one again later.',
  ),
);

export function queueFullEnd(waiting: number, caps: QueueCaps): Failed {
  const params = {
    waiting,
    most: caps.queueMaxEntries,
    mb: Math.round(caps.queueMaxBytes / 1_000_000),
  };
  const message = 'The queue is full; no entry of this message was accepted.';
  return { kind: 'failed', code: 'queue_full', params, message };
}

export function asQueueError(error: unknown): QueueError {
  if (error instanceof QueueError) return error;
  return new QueueError('failed', shortenThrown(error), { cause: error });
}
