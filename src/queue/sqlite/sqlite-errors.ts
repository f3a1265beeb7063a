// SQLite and file system errors as QueueErrors, with a sentence for the person who runs Node-RED.

import { QueueError } from '../store';

/** SQLite's name for a database in memory, which ends with its handle. */
export const inMemory = ':memory:';

type Code = Exclude<QueueError['code'], 'fenced' | 'unavailable'>;

/** SQLite's primary result codes (https://sqlite.org/rescode.html) with a meaning of their own here. */
const byResultCode: Readonly<Record<number, Code>> = {
  3: 'readonly', // SQLITE_PERM
  5: 'locked', // SQLITE_BUSY
  6: 'locked', // SQLITE_LOCKED
  8: 'readonly', // SQLITE_READONLY
  11: 'damaged', // SQLITE_CORRUPT
  13: 'full', // SQLITE_FULL
  14: 'readonly', // SQLITE_CANTOPEN
  26: 'damaged', // SQLITE_NOTADB
};
const ioErrorCorruptFilesystem = 10 | (33 << 8);
const ioErrorShortRead = 10 | (2 << 8);
const readonlyFileMoved = 8 | (4 << 8);

const byErrno: Readonly<Record<string, Code>> = {
  EACCES: 'readonly',
  EPERM: 'readonly',
  EROFS: 'readonly',
  EISDIR: 'readonly',
  ENOTDIR: 'readonly',
  EEXIST: 'readonly',
  ENOSPC: 'full',
  EDQUOT: 'full',
};

/**
 * While a file is being opened, a failing statement means that the file's tables differ, not that the call was
 * wrong.
 */
export function toOpenError(error: unknown, path: string): QueueError {
  const found = toQueueError(error, path);
  const isPlainError = error instanceof Error && 'errcode' in error && error.errcode === 1;
  return isPlainError ? queueError('damaged', path, error.message, error) : found;
}

/** Returns QueueErrors unchanged. `path` is the queue's file. */
export function toQueueError(error: unknown, path: string): QueueError {
  if (error instanceof QueueError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return queueError(codeOf(error), path, detail, error);
}

export function queueError(code: Code, path: string, detail: string, cause?: unknown): QueueError {
  const sentence = path === inMemory ? memorySentence(code, detail) : sentences[code](path, detail);
  return new QueueError(code, sentence, { cause });
}

/** An error about the rows of a run, which are not part of the queue. `path` is their file. */
export function stagingError(error: unknown, path: string): QueueError {
  if (error instanceof QueueError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const sentence =
    code === 'full'
      ? `The disk has no room for the rows of a run in ${path} (${detail}). Nobody was added or removed. Free some space, and ` +
        'send the audience again.'
      : `The rows of a run in ${path} cannot be used (${detail}). Nobody was added or removed. Send the audience again.`;
  // Never `damaged`, which stops the queue.
  return new QueueError(code === 'full' ? 'full' : 'failed', sentence, { cause: error });
}

function codeOf(error: unknown): Code {
  if (!(error instanceof Error)) return 'failed';
  if ('errcode' in error && typeof error.errcode === 'number') return codeOfResult(error.errcode);
  if ('code' in error && typeof error.code === 'string') return byErrno[error.code] ?? 'failed';
  return 'failed';
}

function codeOfResult(result: number): Code {
  if (result === ioErrorCorruptFilesystem || result === ioErrorShortRead) return 'damaged';
  if (result === readonlyFileMoved) return 'failed';
  return byResultCode[result & 0xff] ?? 'failed';
}

function memorySentence(code: Code, detail: string): string {
  if (code === 'closed') return 'The queue in memory is closed.';
  return `The queue in memory could not be used (${detail}). Nothing was changed; check the memory of this machine.`;
}

const sentences: Readonly<Record<Code, (path: string, detail: string) => string>> = {
  damaged: (path, detail) =>
    `The queue file ${path} is damaged (${detail}). It stays unchanged, and no entry is accepted or sent. ` +
    'Stop Node-RED, and move this file, and the one that ends in -wal, to a safe place. Then start again with a ' +
    'backup or an empty queue.',
  readonly: (path, detail) =>
    `The queue file ${path} cannot be written (${detail}). Give the user that runs Node-RED write access to the ` +
    'file and its folder, and make sure that the path is not a folder and its disk is not read-only.',
  full: (path, detail) =>
    `The disk of the queue file ${path} is full (${detail}). Queued entries are safe. Free some space; then new ` +
    'entries are accepted again.',
  locked: (path, detail) =>
    `The queue file ${path} is in use already (${detail}), most likely by a second Node-RED with the same user ` +
    'directory, or by one that is still stopping. Stop it, or give each its own user directory.',
  newer_version: (path, detail) =>
    `The queue file ${path} was written by a newer version of this package (${detail}). It stays unchanged. ` +
    'Install that version again, or move the file to a safe place to start with an empty queue.',
  encrypted: (path, detail) =>
    `The queue file ${path} is encrypted and cannot be opened (${detail}). It stays unchanged, and no entry is accepted ` +
    'or sent. Restore the former credentialSecret in Node-RED’s settings file, and start again. Or move the file to a ' +
    'safe place to start with an empty queue.',
  closed: (path) => `The queue file ${path} is closed.`,
  failed: (path, detail) =>
    `The queue file ${path} could not be used (${detail}). Nothing was changed; check the disk and its log.`,
};
