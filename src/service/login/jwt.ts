// JWT of the login by key (service.md 2), signed with RS256 and a private key in any form in which people paste it.
import { createPrivateKey, sign, type KeyObject } from 'node:crypto';

export type JwtOutcome =
  | { readonly kind: 'jwt'; readonly jwt: string }
  /** `message` names the fault and contains no part of the key. */
  | { readonly kind: 'badKey'; readonly message: string };

export interface JwtLogin {
  readonly username: string;
  readonly keyName: string;
  /** RSA private key as PEM (PKCS#1 or PKCS#8); line breaks may be lost or written as `\n`. */
  readonly privateKey: string;
}

/** Header `kid`, `typ`; claims `sub`, `iat` in whole seconds; no `exp`, as the service documents it. */
export function signJwt({ username, keyName, privateKey }: JwtLogin, wallMs: number): JwtOutcome {
  const key = readKey(privateKey);
  if (typeof key === 'string') return { kind: 'badKey', message: key };
  const header = base64url({ alg: 'RS256', typ: 'JWT', kid: keyName });
  const claims = base64url({ sub: username, iat: Math.floor(wallMs / 1000) });
  try {
    const signature = sign('sha256', Buffer.from(`${header}.${claims}`), key).toString('base64url');
    return { kind: 'jwt', jwt: `${header}.${claims}.${signature}` };
  } catch {
    return { kind: 'badKey', message: sentences.unusable };
  }
}

const sentences = {
  notPem:
    'The private key is not in PEM form: paste the whole text, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----.',
  encrypted:
    'The private key is protected by a passphrase: paste it without one (openssl pkey -in key.pem -out plain.pem).',
  publicKey: 'This is the public key: register it at the service, and paste the private key here.',
  certificate: 'This is a certificate: paste the private key that belongs to it.',
  openssh: 'The private key is in OpenSSH form: convert it to PEM (ssh-keygen -p -m PEM -f key).',
  notRsa:
    'The private key is not an RSA key: the service needs RSA, so make a new key pair and register its public key.',
  unusable: 'The private key is damaged or incomplete: paste the whole text again.',
} as const;

/** The key, or a sentence that names the fault. */
function readKey(text: string): KeyObject | string {
  const [, label, rest] = /-----BEGIN ([A-Z0-9 ]+)-----(.*)$/s.exec(unescaped(text)) ?? [];
  const end = rest?.indexOf(`-----END ${label}-----`) ?? -1;
  if (label === undefined || rest === undefined || end < 0) return sentences.notPem;
  const body = rest.slice(0, end);
  if (label.startsWith('ENCRYPTED') || body.includes('ENCRYPTED')) return sentences.encrypted;
  if (label.includes('PUBLIC KEY')) return sentences.publicKey;
  if (label.includes('CERTIFICATE')) return sentences.certificate;
  if (label === 'OPENSSH PRIVATE KEY') return sentences.openssh;
  if (label === 'EC PRIVATE KEY' || label === 'DSA PRIVATE KEY' || label === 'EC PARAMETERS')
    return sentences.notRsa;
  return parseKey(`-----BEGIN ${label}-----\n${wrapped(body)}\n-----END ${label}-----\n`);
}

function parseKey(pem: string): KeyObject | string {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === 'rsa' ? key : sentences.notRsa;
  } catch {
    return sentences.unusable;
  }
}

/** Replaces the two characters `\n` by a line break: environment variables and JSON contain them in this form. */
function unescaped(text: string): string {
  return text.replace(/\\r/g, '').replace(/\\n/g, '\n');
}

function wrapped(body: string): string {
  return (body.replace(/\s+/g, '').match(/.{1,64}/g) ?? []).join('\n');
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
