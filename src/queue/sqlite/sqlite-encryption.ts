// The cipher of a queue file: its data key is one of the file's notes, and is made, opened, handed on and given up here.

import type { DatabaseSync } from 'node:sqlite';

import {
  isEncrypted,
  newDataKey,
  Cipher,
  unwrapDataKey,
  wrapDataKey,
  type EncryptionOptions,
} from './encryption';
import { queueError } from './sqlite-errors';

/** Part of the store: never change it. */
const keyNote = 'cipher';

function keptKey(db: DatabaseSync): string | null {
  return (
    (db.prepare('SELECT value FROM meta WHERE key = ?').get(keyNote)?.value as string | undefined) ?? null
  );
}

/** Whether the file has a key, so that what is encrypted in it can be read by whoever has the secret. */
export function hasCipher(db: DatabaseSync): boolean {
  return keptKey(db) !== null;
}

/**
 * The cipher of the file; null when it has none. A key that lay under an earlier secret is put under the one in use.
 * Throws a QueueError `encrypted` when no secret fits.
 */
export function openCipher(db: DatabaseSync, path: string, { secrets }: EncryptionOptions): Cipher | null {
  const wrapped = keptKey(db);
  if (wrapped === null) return null;
  const current = currentOf(secrets, path);
  for (const secret of secrets) {
    const dataKey = unwrapDataKey(wrapped, secret);
    if (dataKey === null) continue;
    if (secret !== current) keepKey(db, dataKey, current);
    return new Cipher(dataKey);
  }
  const why = 'Node-RED’s credential secret is another one now, or the key in the file is damaged';
  throw queueError('encrypted', path, why);
}

/** A cipher for a file that has none. Throws a QueueError, also when something in it was encrypted by a key that is gone. */
export function newCipher(db: DatabaseSync, path: string, { secrets }: EncryptionOptions): Cipher {
  const current = currentOf(secrets, path);
  if (holdsEncrypted(db)) throw queueError('damaged', path, 'its key is missing');
  const dataKey = newDataKey();
  keepKey(db, dataKey, current);
  return new Cipher(dataKey);
}

function currentOf([current]: readonly string[], path: string): string {
  if (current === undefined) throw queueError('encrypted', path, 'Node-RED has no credential secret');
  return current;
}

function keepKey(db: DatabaseSync, dataKey: Buffer, secret: string): void {
  const sql = 'INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)';
  db.prepare(sql).run(keyNote, wrapDataKey(dataKey, secret));
}

function holdsEncrypted(db: DatabaseSync): boolean {
  const sql = `
    SELECT EXISTS (SELECT 1 FROM entry NOT INDEXED WHERE body >= '~' AND body < char(127))
        OR EXISTS (SELECT 1 FROM flight WHERE length(users) % 8 <> 0) AS found`;
  return db.prepare(sql).get()?.found !== 0;
}

/** Notes that were written before sealing was switched on are encrypted now; entries stay until they have ended. */
export function cipherNotes(db: DatabaseSync, cipher: Cipher): void {
  rewriteNotes(db, (value) => (isEncrypted(value) ? null : cipher.cipher(value)));
}

/**
 * Sealing was switched off: notes are opened for good, and the key goes as soon as nothing is left that needs it. Then
 * a later change of the secret does not matter any more. Returns whether it is gone.
 */
export function dropCipher(db: DatabaseSync, cipher: Cipher): boolean {
  rewriteNotes(db, (value) => (isEncrypted(value) ? cipher.open(value) : null));
  if (holdsEncrypted(db)) return false;
  db.prepare('DELETE FROM meta WHERE key = ?').run(keyNote);
  return true;
}

/** `rewrite` gives null for a value that stays. */
function rewriteNotes(db: DatabaseSync, rewrite: (value: string) => string | null): void {
  const update = db.prepare('UPDATE meta SET value = ? WHERE key = ?');
  for (const { key, value } of db.prepare('SELECT key, value FROM meta WHERE key <> ?').all(keyNote)) {
    const changed = rewrite(value as string);
    if (changed !== null) update.run(changed, key as string);
  }
}
