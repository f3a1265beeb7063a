// What went wrong with a queue, as the tab tells it: a code for the editor's words, and the system's own sentence.

import { shortenThrown } from '../../src/audience/shorten';
import { OutboxError } from '../../src/outbox/outbox';

type Code = OutboxError['code'];

export interface Trouble {
  /** Its words are below `trouble` in `sidebar.json`. */
  readonly trouble: Code | `database_${Code}` | 'unexpected';
  /** English, with paths; for a code that the editor has no words for, and to be read on hovering. */
  readonly reason: string;
}

/** `where` the queue is: what a code means differs. */
export function troubleOf(error: unknown, where: 'file' | 'database' = 'file'): Trouble {
  const reason = shortenThrown(error);
  if (!(error instanceof OutboxError)) return { trouble: 'unexpected', reason };
  return { trouble: where === 'file' ? error.code : `database_${error.code}`, reason };
}
