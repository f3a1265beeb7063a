// User ids at rest, encrypted: each row, mark and note of a queue file is encrypted, and users are told apart by tags.
//
// A random data key encrypts them; it lies in the file itself, encrypted under a key that is derived from a secret of the
// caller's (Node-RED's own credential secret). So a changed secret is noticed before anything is read, and a secret
// that followed another one needs only the data key to be encrypted anew, not every row.
//
// Each text says by its first sign whether it is encrypted, so that plain and encrypted rows may lie side by side.

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type Cipheriv,
  type KeyObject,
} from 'node:crypto';

/** Whether new rows are encrypted, and by which secrets older ones may be. Only in memory, never written anywhere. */
export interface EncryptionOptions {
  readonly isOn: boolean;
  /** The one in use first; then those that it took the place of. None: nothing encrypted can be read. */
  readonly secrets: readonly string[];
}

/** No entry (JSON) and no note begins with it. */
const mark = '~';
const algorithm = 'aes-256-gcm';
const keyBytes = 32;
const saltBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const sessionBytes = 8;
const counterBytes = 6;
const headBytes = sessionBytes + counterBytes;

export function isEncrypted(text: string): boolean {
  return text.startsWith(mark);
}

/** A data key of its own for a new file. */
export function newDataKey(): Buffer {
  return randomBytes(keyBytes);
}

/** The data key as the file keeps it. */
export function wrapDataKey(dataKey: Buffer, secret: string): string {
  const [salt, nonce] = [randomBytes(saltBytes), randomBytes(nonceBytes)];
  const cipher = createCipheriv(algorithm, wrappingKey(secret, salt), nonce);
  const parts = [salt, nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()];
  return mark + Buffer.concat(parts).toString('base64');
}

/** The data key that the file keeps, or null when this is not the secret under which it was put there. */
export function unwrapDataKey(wrapped: string, secret: string): Buffer | null {
  const bytes = Buffer.from(wrapped.slice(mark.length), 'base64');
  if (bytes.length !== saltBytes + nonceBytes + keyBytes + tagBytes) return null;
  const nonce = bytes.subarray(saltBytes, saltBytes + nonceBytes);
  const decipher = createDecipheriv(algorithm, wrappingKey(secret, bytes.subarray(0, saltBytes)), nonce);
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  try {
    return Buffer.concat([
      decipher.update(bytes.subarray(saltBytes + nonceBytes, -tagBytes)),
      decipher.final(),
    ]);
  } catch {
    return null;
  }
}

function wrappingKey(secret: string, salt: Buffer): KeyObject {
  return createSecretKey(
    Buffer.from(hkdfSync('sha256', secret, salt, 'instant-audience queue: data key', keyBytes)),
  );
}

/** Seals and opens by one data key. */
export class Cipher {
  readonly #sessionsKey: KeyObject;
  readonly #tags: Cipheriv;
  readonly #session = randomBytes(sessionBytes);
  readonly #sessionKey: KeyObject;
  /** Of sessions that are read. */
  readonly #keys = new Map<string, KeyObject>();
  readonly #nonce = Buffer.alloc(nonceBytes);
  readonly #block = Buffer.alloc(16);
  #encrypted = 0;

  constructor(dataKey: Buffer) {
    const derived = (purpose: string): KeyObject =>
      createSecretKey(
        Buffer.from(hkdfSync('sha256', dataKey, '', `instant-audience queue: ${purpose}`, keyBytes)),
      );
    this.#sessionsKey = derived('sessions');
    // Block by block, without chaining: one block is a keyed permutation, which is all that a tag needs.
    this.#tags = createCipheriv('aes-256-ecb', derived('users'), null).setAutoPadding(false);
    this.#sessionKey = this.#keyOf(this.#session);
  }

  /**
   * Stands for a user in the file: equal for equal hashes within the file, of no meaning without its key. A whole
   * number from 0 to 2^53−1, as the hash is.
   */
  tagOf(userHash: number): number {
    this.#block.writeDoubleLE(userHash, 0);
    const tag = this.#tags.update(this.#block);
    return (tag.readUInt32LE(0) & 0x1fffff) * 0x100000000 + tag.readUInt32LE(4);
  }

  cipher(text: string): string {
    return this.#cipher(Buffer.from(text, 'utf8'));
  }

  /** What `cipher` gave; null when it was changed since, or encrypted by another data key. */
  open(encrypted: string): string | null {
    return this.#open(encrypted)?.toString('utf8') ?? null;
  }

  /** A row's user goes with its body: the tag in its place cannot be read back. */
  encryptRow(userHash: number, body: string): string {
    const bytes = Buffer.allocUnsafe(8 + Buffer.byteLength(body, 'utf8'));
    bytes.writeDoubleLE(userHash, 0);
    bytes.write(body, 8, 'utf8');
    return this.#cipher(bytes);
  }

  openRow(encrypted: string): { readonly userHash: number; readonly body: string } | null {
    const bytes = this.#open(encrypted);
    return bytes === null ? null : { userHash: bytes.readDoubleLE(0), body: bytes.toString('utf8', 8) };
  }

  /** Each session of a process has a key of its own, in which a counter never comes twice. */
  #cipher(bytes: Buffer): string {
    const head = Buffer.allocUnsafe(headBytes);
    this.#session.copy(head);
    head.writeUIntLE((this.#encrypted += 1), sessionBytes, counterBytes);
    const cipher = createCipheriv(algorithm, this.#sessionKey, this.#nonceOf(head));
    return (
      mark +
      Buffer.concat([head, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]).toString('base64')
    );
  }

  #open(encrypted: string): Buffer | null {
    const bytes = Buffer.from(encrypted.slice(mark.length), 'base64');
    if (bytes.length < headBytes + tagBytes) return null;
    const key = this.#keyOf(bytes.subarray(0, sessionBytes));
    const decipher = createDecipheriv(algorithm, key, this.#nonceOf(bytes));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(headBytes, -tagBytes)), decipher.final()]);
    } catch {
      return null;
    }
  }

  #nonceOf(head: Buffer): Buffer {
    head.copy(this.#nonce, 0, sessionBytes, headBytes);
    return this.#nonce;
  }

  #keyOf(session: Buffer): KeyObject {
    const name = session.toString('latin1');
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = createSecretKey(createHmac('sha256', this.#sessionsKey).update(session).digest());
      this.#keys.set(name, key);
    }
    return key;
  }
}
