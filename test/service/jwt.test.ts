// signJwt: the signed token, and private keys in every form in which people paste them.
import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { signJwt } from '../../src/service/login/jwt';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pkcs8 = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const pkcs1 = rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
const nowMs = 1_700_000_000_999;

function signedWith(privateKey: string): string {
  const outcome = signJwt({ username: 'jo', keyName: 'my key', privateKey }, nowMs);
  assert.ok(outcome.kind === 'jwt', JSON.stringify(outcome));
  return outcome.jwt;
}

function sentenceFor(privateKey: string): string {
  const outcome = signJwt({ username: 'jo', keyName: 'my key', privateKey }, nowMs);
  assert.ok(outcome.kind === 'badKey', 'accepted as a key');
  for (const line of privateKey.split(/\s+/).filter((part) => part.length > 20)) {
    assert.ok(!outcome.message.includes(line), 'the sentence contains part of the key');
  }
  return outcome.message;
}

describe('the JWT', () => {
  it('has the documented header and claims, and a signature that the public key verifies', () => {
    const [header = '', claims = '', signature = ''] = signedWith(pkcs8).split('.');
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    assert.deepEqual(read(header), { alg: 'RS256', typ: 'JWT', kid: 'my key' });
    assert.deepEqual(read(claims), { sub: 'jo', iat: 1_700_000_000 });
    const signed = Buffer.from(`${header}.${claims}`);
    assert.ok(verify('sha256', signed, rsa.publicKey, Buffer.from(signature, 'base64url')));
  });

  it('accepts both PEM forms, with line breaks lost, escaped or from Windows', () => {
    const expected = signedWith(pkcs8);
    const pasted = [pkcs1, pkcs8, `\n  ${pkcs8}  \n`].flatMap((pem) => [
      pem,
      pem.replaceAll('\n', ' '),
      pem.replaceAll('\n', ''),
      pem.replaceAll('\n', '\\n'),
      pem.replaceAll('\n', '\\r\\n'),
      pem.replaceAll('\n', '\r\n'),
      `"${pem.replaceAll('\n', '\\n')}"`,
    ]);
    for (const pem of pasted) assert.equal(signedWith(pem), expected);
  });

  it('names the fault of a key, and never shows the key', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const locked = { cipher: 'aes-256-cbc', passphrase: 'x', format: 'pem' } as const;
    const spki = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const wrong: [string, RegExp][] = [
      ['', /not in PEM form/],
      ['hello', /not in PEM form/],
      [pkcs8.slice(0, 400), /not in PEM form/],
      [pkcs8.replace(/[A-Za-z]{4}/g, 'AAAA').replaceAll('AAAA PRI', 'BEGIN PRI'), /PEM form|damaged/],
      [pkcs8.split('\n').toSpliced(3, 4).join('\n'), /damaged or incomplete/],
      [ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), /not an RSA key/],
      [ec.privateKey.export({ type: 'sec1', format: 'pem' }).toString(), /not an RSA key/],
      [rsa.privateKey.export({ type: 'pkcs8', ...locked }).toString(), /protected by a passphrase/],
      [rsa.privateKey.export({ type: 'pkcs1', ...locked }).toString(), /protected by a passphrase/],
      [spki, /This is the public key/],
      ['-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----', /certificate/],
      [
        '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXkt\n-----END OPENSSH PRIVATE KEY-----',
        /OpenSSH form/,
      ],
    ];
    for (const [key, sentence] of wrong) assert.match(sentenceFor(key), sentence);
  });
});
