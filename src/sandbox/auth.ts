// Authentication of the sandbox: both kinds of login, lifetimes of tokens, and the limit of ten logins in five minutes
// (service.md 2).
import { createPublicKey, randomBytes, verify, type KeyObject } from 'node:crypto';
import type { Times } from '../clock';
import { SlidingWindow } from './windows';
import { errorReply, isObject, jsonReply, parseJson, type Reply } from './wire';

const idleMs = 2 * 3_600_000;
const lifeMs = 24 * 3_600_000;
const limitWindowMs = 5 * 60_000;
/** Bounds memory for a client that logs in endlessly; the oldest tokens are dropped first. */
const maxTokens = 10_000;

export interface AuthOptions {
  readonly clock: Times;
  readonly member: number;
  /** Passwords by user name; undefined accepts any non-empty name and password. */
  readonly users: Readonly<Record<string, string>> | undefined;
  /** Public keys in PEM form by name; undefined accepts any well-formed RS256 token. */
  readonly keys: Readonly<Record<string, string>> | undefined;
  /** Limit of successful authentications of one login in five minutes. */
  readonly authLimit: number;
}

interface Token {
  readonly issuedMs: number;
  usedMs: number;
}

export class Auth {
  readonly #users: ReadonlyMap<string, string> | undefined;
  readonly #keys: ReadonlyMap<string, KeyObject> | undefined;
  readonly #tokens = new Map<string, Token>();
  #logins = new Map<string, SlidingWindow>();
  #total = 0;
  #worst = 0;

  /** @throws Error with a sentence for a key that is not a public RSA key in PEM form */
  constructor(private readonly options: AuthOptions) {
    this.#users = options.users && new Map(Object.entries(options.users));
    this.#keys =
      options.keys && new Map(Object.entries(options.keys).map(([name, pem]) => [name, readKey(name, pem)]));
  }

  /** `POST /auth`. */
  password(body: string): Reply {
    const request = parseJson(body);
    const auth = isObject(request) ? request.auth : undefined;
    if (!isObject(auth)) return errorReply(400, 'SYNTAX', 'auth with username and password is required');
    const { username, password } = auth;
    if (typeof username !== 'string' || typeof password !== 'string' || !this.#accepts(username, password)) {
      return errorReply(200, 'NOAUTH', 'No match found for user/pass');
    }
    return this.#issue(username, 'hbapi', 'dbg_info');
  }

  /** `POST /v2/auth/jwt`, with the bare JWT as plain text. */
  jwt(body: string, contentType: string): Reply {
    if (!/^text\/plain\b/i.test(contentType)) {
      return errorReply(400, 'SYNTAX', 'The content type must be text/plain and the body the bare JWT');
    }
    const login = this.#readJwt(body.trim());
    if (login === null) return errorReply(200, 'NOAUTH', 'The JWT was not accepted');
    return this.#issue(login, 'authn', 'debug_info');
  }

  /** Whether a token is valid. Every check counts as a call, which extends the token's life. */
  check(token: string | undefined): boolean {
    const held = token === undefined ? undefined : this.#tokens.get(token);
    if (!held) return false;
    const now = this.options.clock.monoMs();
    if (now - held.usedMs >= idleMs || now - held.issuedMs >= lifeMs) {
      this.#tokens.delete(token!);
      return false;
    }
    held.usedMs = now;
    return true;
  }

  killTokens(): void {
    this.#tokens.clear();
  }

  counts(): { total: number; worstIn5Minutes: number } {
    return { total: this.#total, worstIn5Minutes: this.#worst };
  }

  /** Deletes the counts of past authentications; tokens stay valid. */
  reset(): void {
    this.#logins = new Map();
    this.#total = 0;
    this.#worst = 0;
  }

  #accepts(username: string, password: string): boolean {
    return this.#users ? this.#users.get(username) === password : username !== '' && password !== '';
  }

  #issue(login: string, prefix: string, info: string): Reply {
    const now = this.options.clock.monoMs();
    const window = this.#loginWindow(login, now);
    if (window.sum(now) + 1 > this.options.authLimit) {
      const limit = this.options.authLimit;
      return errorReply(
        200,
        'LIMIT',
        `More than ${limit} successful authentications in 5 minutes; please wait`,
      );
    }
    window.add(now, 1);
    this.#total += 1;
    this.#worst = Math.max(this.#worst, window.peak);
    const token = `${prefix}:${this.options.member}:${randomBytes(12).toString('hex')}:sandbox`;
    this.#tokens.set(token, { issuedMs: now, usedMs: now });
    if (this.#tokens.size > maxTokens) this.#tokens.delete(this.#tokens.keys().next().value!);
    return jsonReply({ response: { status: 'OK', token, [info]: {} } });
  }

  #loginWindow(login: string, now: number): SlidingWindow {
    const known = this.#logins.get(login);
    if (known) return known;
    if (this.#logins.size >= 1000) {
      for (const [name, window] of this.#logins) if (window.sum(now) === 0) this.#logins.delete(name);
    }
    const fresh = new SlidingWindow(limitWindowMs);
    this.#logins.set(login, fresh);
    return fresh;
  }

  /** The user name of a valid JWT, else null. */
  #readJwt(jwt: string): string | null {
    const [head, claims, signature, ...rest] = jwt.split('.');
    if (!head || !claims || !signature || rest.length > 0) return null;
    const header = decodePart(head);
    const payload = decodePart(claims);
    if (header?.alg !== 'RS256' || header.typ !== 'JWT' || typeof header.kid !== 'string') return null;
    const login = payload?.sub;
    if (typeof login !== 'string' || login === '' || !Number.isSafeInteger(payload?.iat)) return null;
    if (this.#users && !this.#users.has(login)) return null;
    if (!this.#keys) return login;
    const key = this.#keys.get(header.kid);
    const isSigned =
      key && verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'));
    return isSigned ? login : null;
  }
}

function decodePart(part: string): Readonly<Record<string, unknown>> | null {
  if (!/^[\w-]+$/.test(part)) return null;
  const value = parseJson(Buffer.from(part, 'base64url').toString('utf8'));
  return isObject(value) ? value : null;
}

function readKey(name: string, pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // The same error as for a key of another type, below.
  }
  throw new Error(
    `keys["${name}"] is not an RSA public key in PEM form; register the public key, not the private one`,
  );
}
