// Queue errors for the tab Audience: a code for the editor's words, and the system's message.

import { shortenThrown } from '../../../src/entry/index';
import { QueueError } from '../../../src/queue/index';

type Code = QueueError['code'];

export interface Trouble {
  /** A key below `trouble` in `sidebar.json`. */
  readonly trouble: Exclude<Code, 'unavailable'> | `database_${Code}` | 'unexpected';
  /** English, with paths: the tooltip, and the text for codes without a sentence. */
  readonly reason: string;
}

/** `where` the queue is: what a code means differs. */
export function troubleOf(error: unknown, where: 'file' | 'database' = 'file'): Trouble {
  const reason = shortenThrown(error);
  if (!(error instanceof QueueError)) return { trouble: 'unexpected', reason };
  const { code } = error;
  // Only a database is ever unavailable.
  if (where === 'database' || code === 'unavailable') return { trouble: `database_${code}`, reason };
  return { trouble: code, reason };
}
