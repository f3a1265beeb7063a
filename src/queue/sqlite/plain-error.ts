// Errors of a worker thread, which lose their class between threads.

import { QueueError } from '../store';

export interface PlainError {
  readonly code: QueueError['code'];
  readonly message: string;
}

export function plainError(error: unknown): PlainError {
  if (error instanceof QueueError) return { code: error.code, message: error.message };
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) };
}
