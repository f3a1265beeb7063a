// What went wrong with a queue, as the tab tells it: a code for the editor's words, and the system's own sentence.

import { OutboxError } from '../../src/outbox/outbox';

export interface Trouble {
  /** Its words are below `trouble` in `sidebar.json`. */
  readonly trouble: OutboxError['code'] | 'unexpected';
  /** English, with paths; for a code that the editor has no words for, and to be read on hovering. */
  readonly reason: string;
}

export function troubleOf(error: unknown): Trouble {
  const reason = error instanceof Error ? error.message : String(error);
  return { trouble: error instanceof OutboxError ? error.code : 'unexpected', reason };
}
