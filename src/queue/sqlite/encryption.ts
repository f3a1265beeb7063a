// Encryption at rest: each row, in-flight record and stored value of a queue file is encrypted, and users are
// found by a blind index.
//
// A random data key encrypts them. The file holds that key, encrypted under a key that is derived from the
// caller's secret (Node-RED's credential secret). So a changed secret is detected before anything is read, and
// a new secret only needs the data key to be encrypted again, not every row.
//
// The first character of each text shows whether it is encrypted, so that plain and encrypted rows may coexist.

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

/**
 * Whether new rows are encrypted, and the secrets that may decrypt older ones. Only in memory, never stored.
 */
export interface EncryptionOptions {
  readonly isOn: boolean;
  /** The current secret first, then earlier ones. Without any, nothing encrypted can be read. */
  readonly secrets: readonly string[];
}

/** Neither an entry (JSON) nor a stored value begins with this character. */
const mark = '~';
const algorithm = 'aes-256-gcm';
const keyBytes = 32;
const saltBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const sessionBytes = 8;
const counterBytes = 6;
const headBytes = sessionBytes + counterBytes;
/** So that different members of a file never share a blind index. */
const memberTagBytes = 16;

/** A member as its row names it. */
export interface MemberName {
  /** The member key, or its blind index. */
  readonly key: string | Uint8Array;
  /** The member key; null when it is not encrypted. */
  readonly encrypted: Uint8Array | null;
}

export function memberNameOf(cipher: Cipher | null, memberKey: string): MemberName {
  if (cipher === null) return { key: memberKey, encrypted: null };
  return { key: cipher.memberTagOf(memberKey), encrypted: cipher.encryptMember(memberKey) };
}

export function isEncrypted(text: string): boolean {
  return text.startsWith(mark);
}

/** Tells the key of a file from others: rows that were staged under another one match no member. */
export function stampOf(cipher: Cipher | null): string {
  return cipher === null ? '' : Buffer.from(cipher.memberTagOf('')).toString('hex');
}

/** A random data key for a new file. */
export function newDataKey(): Buffer {
  return randomBytes(keyBytes);
}

/** Encrypts the data key for the file. */
export function wrapDataKey(dataKey: Buffer, secret: string): string {
  const [salt, nonce] = [randomBytes(saltBytes), randomBytes(nonceBytes)];
  const cipher = createCipheriv(algorithm, wrappingKey(secret, salt), nonce);
  const parts = [salt, nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()];
  return mark + Buffer.concat(parts).toString('base64');
}

/** Decrypts the data key of the file; null when it was encrypted under another secret. */
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

/** Encrypts and decrypts under one data key. */
export class Cipher {
  readonly #sessionsKey: KeyObject;
  readonly #tags: Cipheriv;
  readonly #membersKey: KeyObject;
  readonly #session = randomBytes(sessionBytes);
  readonly #sessionKey: KeyObject;
  /** Session keys, by the session id in the texts that were read. */
  readonly #keys = new Map<string, KeyObject>();
  readonly #nonce = Buffer.alloc(nonceBytes);
  readonly #block = Buffer.alloc(16);
  #encrypted = 0;

  /** `dataKey`: stays in memory; another thread makes its own cipher of it. */
  constructor(readonly dataKey: Uint8Array) {
    const derived = (purpose: string): KeyObject =>
      createSecretKey(
        Buffer.from(hkdfSync('sha256', dataKey, '', `instant-audience queue: ${purpose}`, keyBytes)),
      );
    this.#sessionsKey = derived('sessions');
    // ECB without chaining: one block is a keyed permutation, which is all that the blind index needs.
    this.#tags = createCipheriv('aes-256-ecb', derived('users'), null).setAutoPadding(false);
    this.#membersKey = derived('members');
    this.#sessionKey = this.#keyOf(this.#session);
  }

  /**
   * Blind index of a user: a keyed hash, equal for equal hashes within the file and meaningless without its
   * key. A whole number from 0 to 2^53−1, as the hash itself.
   */
  tagOf(userHash: number): number {
    this.#block.writeDoubleLE(userHash, 0);
    const tag = this.#tags.update(this.#block);
    return (tag.readUInt32LE(0) & 0x1fffff) * 0x100000000 + tag.readUInt32LE(4);
  }

  /** Blind index of a member key. */
  memberTagOf(memberKey: string): Uint8Array {
    return createHmac('sha256', this.#membersKey).update(memberKey).digest().subarray(0, memberTagBytes);
  }

  encryptMember(memberKey: string): Uint8Array {
    return this.#encrypt(Buffer.from(memberKey, 'utf8'));
  }

  /** Decrypts a member key of `encryptMember`; null as for `open`. */
  openMember(encrypted: Uint8Array): string | null {
    return this.#decrypt(Buffer.from(encrypted))?.toString('utf8') ?? null;
  }

  cipher(text: string): string {
    return this.#cipher(Buffer.from(text, 'utf8'));
  }

  /** Decrypts a text of `cipher`; null when it was changed or encrypted under another data key. */
  open(encrypted: string): string | null {
    return this.#open(encrypted)?.toString('utf8') ?? null;
  }

  /** Encrypts the user hash with the body, because the blind index cannot be reversed. */
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

  #cipher(bytes: Buffer): string {
    return mark + this.#encrypt(bytes).toString('base64');
  }

  /** Each session of a process has its own key, so that a counter value is never used twice with one key. */
  #encrypt(bytes: Buffer): Buffer {
    const head = Buffer.allocUnsafe(headBytes);
    this.#session.copy(head);
    head.writeUIntLE((this.#encrypted += 1), sessionBytes, counterBytes);
    const cipher = createCipheriv(algorithm, this.#sessionKey, this.#nonceOf(head));
    return Buffer.concat([head, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  }

  #open(encrypted: string): Buffer | null {
    return this.#decrypt(Buffer.from(encrypted.slice(mark.length), 'base64'));
  }

  #decrypt(bytes: Buffer): Buffer | null {
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
