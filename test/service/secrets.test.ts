// Masking of secrets in replies, in every form in which text may be encoded.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { quote, quoteCode } from '../../src/service/reply/quote';
import {
  readAuthReply,
  readPostReply,
  readReply,
  type HttpReply,
} from '../../src/service/reply/response-classifier';

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

describe('secrets in replies of the service', () => {
  it('are masked as plain text, JSON, URL and HTML', () => {
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

  it('are masked at every position, also where the text is cut', () => {
    fc.assert(
      fc.property(fc.nat(2100), fc.boolean(), fc.constantFrom(...forms), (before, tags, form) => {
        const filling = tags ? '<b>'.repeat(before / 3) : 'x '.repeat(before / 2);
        const body = `${filling}${form}`;
        assert.doesNotMatch(JSON.stringify(readAuthReply(reply(body, [secret]))), /S3/);
      }),
    );
  });

  it('are masked in warnings of an accepted post, also with escaped characters', () => {
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

  it('do not break a login whose password is a word of the reply', () => {
    const body = { response: { status: 'OK', token: 'hbapi:1' } };
    for (const password of ['OK', 'token', 'status', 'hbapi:1'])
      assert.deepEqual(readAuthReply(reply(body, [password], 200)), { kind: 'token', token: 'hbapi:1' });
  });

  it('of any text are masked without an exception', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 4 }), (any) => {
        // Our own quotes and the ellipsis may contain such a secret.
        fc.pre(!'"…'.includes(any));
        assert.ok(!quote(`a ${any} b`, [any]).includes(any) || any.trim() === '');
      }),
    );
  });

  it('stay hidden in a reply that nests deeper than any of the service', () => {
    const body = `{"response":{"status":"OK","warnings":${'['.repeat(5000)}"${token}"${']'.repeat(5000)}}}`;
    const outcome = readPostReply(reply(body, [token], 200));
    // The client does not parse such a reply.
    assert.equal(outcome.kind, 'retriable');
    assert.ok(!JSON.stringify(outcome).includes(token));
  });
});
