// Cipher of a queue file: creates, unwraps, rewraps and deletes the data key, which is one of the file's stored
// values.

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

/** Whether the file has a data key, so that its content can be decrypted with the secret. */
export function hasCipher(db: DatabaseSync): boolean {
  return keptKey(db) !== null;
}

/**
 * Opens the cipher of the file; null when it has none. A data key under an earlier secret is encrypted under
 * the current one. Throws a QueueError `encrypted` when no secret fits.
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

/**
 * Creates a cipher for a file that has none. Throws a QueueError, also when some content was encrypted under a
 * lost key.
 */
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
        OR EXISTS (SELECT 1 FROM flight WHERE length(users) % 8 <> 0)
        OR EXISTS (SELECT 1 FROM synced CROSS JOIN member ON member.segment = id AND key >= x'') AS found`;
  return db.prepare(sql).get()?.found !== 0;
}

/**
 * Encrypts the stored values of before encryption was switched on; plain entries stay until they have ended.
 */
export function cipherNotes(db: DatabaseSync, cipher: Cipher): void {
  rewriteNotes(db, (value) => (isEncrypted(value) ? null : cipher.cipher(value)));
}

/**
 * Encryption was switched off: decrypts the stored values, and deletes the data key once no entry needs it.
 * Then later changes of the secret do not matter. Returns whether the key was deleted.
 */
export function dropCipher(db: DatabaseSync, cipher: Cipher): boolean {
  rewriteNotes(db, (value) => (isEncrypted(value) ? cipher.open(value) : null));
  if (holdsEncrypted(db)) return false;
  db.prepare('DELETE FROM meta WHERE key = ?').run(keyNote);
  return true;
}

/** Also the states of syncs. `rewrite` returns null for a value that stays. */
function rewriteNotes(db: DatabaseSync, rewrite: (value: string) => string | null): void {
  const update = db.prepare('UPDATE meta SET value = ? WHERE key = ?');
  for (const { key, value } of db.prepare('SELECT key, value FROM meta WHERE key <> ?').all(keyNote)) {
    const changed = rewrite(value as string);
    if (changed !== null) update.run(changed, key as string);
  }
  const setState = db.prepare('UPDATE synced SET state = ? WHERE id = ?');
  for (const { id, state } of db.prepare('SELECT id, state FROM synced WHERE state IS NOT NULL').all()) {
    const changed = rewrite(state as string);
    if (changed !== null) setState.run(changed, id as number);
  }
}
