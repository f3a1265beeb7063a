// What somebody else says may repeat a secret, in any form that text takes on its way.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { quote, quoteCode } from '../../src/service/quote';
import { readAuthReply, readPostReply, readReply, type HttpReply } from '../../src/service/refusals';

const secret = 'S3CR3T"<&\\ä/%+word';
const core = /S3CR3T/;
const html = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
const forms = [secret, JSON.stringify(secret), encodeURIComponent(secret), html, `x${secret}x${secret}`];
const token = 'nbapi_0123456789';
const reply = (body: unknown, secrets: readonly string[], status = 400): HttpReply => ({
  status,
  headers: {},
  body: typeof body === 'string' ? body : JSON.stringify(body),
  secrets,
});

describe('secrets in what the service says', () => {
  it('are blotted out of its words as text, JSON, address and HTML', () => {
    for (const form of forms) {
      assert.doesNotMatch(quote(`you sent ${form}`, [secret]), core, form);
      assert.match(quote(`you sent ${form}`, [secret]), /^"you sent .*…/);
      assert.doesNotMatch(quoteCode(form, [secret]), core, form);
      for (const status of [400, 401, 403, 407, 429, 500, 502]) {
        const page = reply(`<html><body>${form}</body></html>`, [secret], status);
        assert.doesNotMatch(JSON.stringify(readAuthReply(page)), core, `${status} ${form}`);
        const coded = reply({ response: { error_id: form, error: form } }, [secret], status);
        assert.doesNotMatch(JSON.stringify(readAuthReply(coded)), core, `${status} ${form}`);
      }
    }
  });

  it('are blotted out wherever in the words they stand, also where these are cut', () => {
    fc.assert(
      fc.property(fc.nat(2100), fc.boolean(), fc.constantFrom(...forms), (before, tags, form) => {
        const filling = tags ? '<b>'.repeat(before / 3) : 'x '.repeat(before / 2);
        const body = `${filling}${form}`;
        assert.doesNotMatch(JSON.stringify(readAuthReply(reply(body, [secret]))), /S3/);
      }),
    );
  });

  it('are blotted out of warnings of what was accepted, also in code points that are written out', () => {
    const written = `"\\u${token.charCodeAt(0).toString(16).padStart(4, '0')}${token.slice(1)}"`;
    for (const text of [JSON.stringify(token), written]) {
      for (const warning of [
        text,
        `{"message":${text}}`,
        `{"message":"a","entity":{"b":[${text}]}}`,
        `{"c":${text}}`,
      ]) {
        const body = `{"response":{"status":"OK","warnings":[${warning}]}}`;
        const outcome = readPostReply(reply(body, [token], 200));
        assert.equal(outcome.kind, 'accepted');
        assert.ok(!JSON.stringify(outcome).includes(token), body);
      }
      const odd = readPostReply(reply(`{"response":{"status":"OK","warnings":{"a":${text}}}}`, [token], 200));
      assert.ok(odd.kind === 'accepted' && !JSON.stringify(odd).includes(token));
      const read = readReply(
        reply(`{"response":{"status":"OK","name":${text}}}`, [token], 200),
        (json) => json,
      );
      assert.ok(read.kind === 'read' && !JSON.stringify(read).includes(token));
    }
  });

  it('do not keep a login from working whose password is a word of the reply', () => {
    const body = { response: { status: 'OK', token: 'hbapi:1' } };
    for (const password of ['OK', 'token', 'status', 'hbapi:1'])
      assert.deepEqual(readAuthReply(reply(body, [password], 200)), { kind: 'token', token: 'hbapi:1' });
  });

  it('of any kind of text never throw, and are gone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 4 }), (any) => {
        // What is left over of a text may hold a secret that is a part of our own marks.
        fc.pre(!'"…'.includes(any));
        assert.ok(!quote(`a ${any} b`, [any]).includes(any) || any.trim() === '');
      }),
    );
  });

  it('are looked for in a reply that nests without end', () => {
    const body = `{"response":{"status":"OK","warnings":${'['.repeat(5000)}"${token}"${']'.repeat(5000)}}}`;
    const outcome = readPostReply(reply(body, [token], 200));
    // Nothing of the service's is that deep: it is not read at all.
    assert.equal(outcome.kind, 'passing');
    assert.ok(!JSON.stringify(outcome).includes(token));
  });
});
