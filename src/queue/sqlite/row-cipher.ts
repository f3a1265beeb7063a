// Encryption of a log: what is written is encrypted when that is switched on, and what is read is decrypted whenever it was
// written so.

import type { DatabaseSync } from 'node:sqlite';

import type { InFlightRecord, NewRow } from '../store';
import {
  isEncrypted,
  memberNameOf,
  stampOf,
  type Cipher,
  type EncryptionOptions,
  type MemberName,
} from './encryption';
import { queueError } from './sqlite-errors';
import { cipherNotes, dropCipher, hasCipher, newCipher, openCipher } from './sqlite-encryption';

export class RowCipher {
  #cipher: Cipher | null;

  /** Throws a QueueError when none of the secrets opens the file's key. Without options nothing is encrypted. */
  constructor(
    private readonly db: DatabaseSync,
    private readonly path: string,
    private readonly options: EncryptionOptions | null,
  ) {
    this.#cipher = options === null ? null : openCipher(db, path, options);
  }

  /** Makes the key, or deletes it once nothing needs it. Call in a transaction, before anything is written. */
  settle(): void {
    const { options } = this;
    if (options === null || (!options.isOn && this.#cipher === null)) return;
    this.#cipher ??= newCipher(this.db, this.path, options);
    if (options.isOn) cipherNotes(this.db, this.#cipher);
    else if (dropCipher(this.db, this.#cipher)) this.#cipher = null;
  }

  /** Cipher for what is written; null when that is plain text. */
  get #writing(): Cipher | null {
    if (this.options?.isOn !== true) return null;
    if (this.#cipher === null) throw queueError('failed', this.path, 'its key is not there yet');
    return this.#cipher;
  }

  // ── To write ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Value of the user column. */
  nameOf(userHash: number): number {
    return this.#writing?.tagOf(userHash) ?? userHash;
  }

  bodyOf({ userHash, body }: NewRow): string {
    return this.#writing?.encryptRow(userHash, body) ?? body;
  }

  noteOf(value: string): string {
    return this.#writing?.cipher(value) ?? value;
  }

  /** Whether what is written is encrypted. */
  get encrypts(): boolean {
    return this.options?.isOn === true;
  }

  /** For the thread that stages rows; null when they are plain text. */
  get stagingKey(): Uint8Array | null {
    return this.#writing?.dataKey ?? null;
  }

  get stamp(): string {
    return stampOf(this.#writing);
  }

  memberNameOf(memberKey: string): MemberName {
    return memberNameOf(this.#writing, memberKey);
  }

  usersOf({ userHashes }: InFlightRecord): Uint8Array {
    const cipher = this.#writing;
    // Its length is never a multiple of eight, unlike that of plain hashes: an encrypted text is one character
    // longer than a multiple of four.
    if (cipher !== null) return Buffer.from(cipher.cipher(JSON.stringify(userHashes)), 'latin1');
    const view = new DataView(new ArrayBuffer(userHashes.length * 8));
    userHashes.forEach((hash, at) => view.setFloat64(at * 8, hash, true));
    return new Uint8Array(view.buffer);
  }

  // ── To read ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Values of the user column for a user: plain hash and blind index, since rows may be from before encryption
   * was switched.
   */
  namesOf(userHash: number): number[] {
    return this.#cipher === null ? [userHash] : [userHash, this.#cipher.tagOf(userHash)];
  }

  /** Keys of the rows of a member, likewise. */
  memberNamesOf(memberKey: string): MemberName['key'][] {
    return this.#cipher === null ? [memberKey] : [memberKey, this.#cipher.memberTagOf(memberKey)];
  }

  /** Null when it was changed since it was encrypted. */
  openMember({ key, encrypted }: MemberName): string | null {
    if (typeof key === 'string') return key;
    this.#checkDecryptable();
    return encrypted === null ? null : (this.#cipher?.openMember(encrypted) ?? null);
  }

  memberKeyIn(name: MemberName): string {
    const memberKey = this.openMember(name);
    if (memberKey === null) throw queueError('damaged', this.path, 'a member cannot be opened');
    return memberKey;
  }

  /** A stored text, as it was before `noteOf`. */
  textIn(stored: string, what: string): string {
    return isEncrypted(stored) ? this.openText(stored, what) : stored;
  }

  openText(encrypted: string, what: string): string {
    this.#checkDecryptable();
    const text = this.#cipher?.open(encrypted) ?? null;
    if (text === null) throw queueError('damaged', this.path, `${what} cannot be opened`);
    return text;
  }

  /**
   * A row that was changed since it was encrypted is returned as it is; its reader finds that it is no entry.
   */
  openRow({ user, body }: { readonly user: number; readonly body: string }): {
    readonly userHash: number;
    readonly body: string;
  } {
    const asItIs = { userHash: user, body };
    if (!isEncrypted(body)) return asItIs;
    this.#checkDecryptable();
    return this.#cipher?.openRow(body) ?? asItIs;
  }

  hashesIn(users: Uint8Array): readonly number[] {
    if (users.byteLength % 8 !== 0) {
      const text = this.openText(Buffer.from(users).toString('latin1'), 'the mark of a post');
      return JSON.parse(text) as number[];
    }
    const view = new DataView(users.buffer, users.byteOffset, users.byteLength);
    return Array.from({ length: users.byteLength / 8 }, (_, at) => view.getFloat64(at * 8, true));
  }

  #checkDecryptable(): void {
    if (this.#cipher !== null) return;
    if (hasCipher(this.db)) throw queueError('encrypted', this.path, 'it was opened without a secret');
    throw queueError('damaged', this.path, 'its key is missing');
  }
}
