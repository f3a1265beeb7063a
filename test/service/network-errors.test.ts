// readNetworkError: outcomes of exchanges without a reply, by the error and by whether the request may have been sent.
import assert from 'node:assert/strict';
import { readNetworkError } from '../../src/service/http/network-errors';

const error = (code: string) => Object.assign(new Error('details nobody reads'), { code });
const host = 'streaming.example:443';

describe('reading a network error', () => {
  it('is ambiguous exactly when the request may have been sent', () => {
    const codes = [
      'ECONNRESET',
      'UND_ERR_SOCKET',
      'ETIMEDOUT',
      'timed_out',
      'EPIPE',
      'UND_ERR_DESTROYED',
      '',
    ];
    for (const code of codes) {
      for (const phase of ['connecting', 'departed'] as const) {
        const outcome = readNetworkError(error(code), phase, host);
        assert.ok(outcome.kind === 'retriable', code);
        assert.equal(outcome.ambiguous, phase === 'departed', code);
      }
    }
  });

  it('distinguishes host names, refused connections, missing routes and time-outs', () => {
    const codes = {
      ENOTFOUND: 'dns',
      EAI_AGAIN: 'dns',
      ECONNREFUSED: 'refused',
      EHOSTUNREACH: 'unreachable',
    };
    for (const [code, expected] of Object.entries(codes)) {
      const outcome = readNetworkError(error(code), 'connecting', host);
      assert.deepEqual([outcome.kind, outcome.code], ['retriable', expected]);
      assert.ok(outcome.message.includes(host));
    }
    assert.equal(readNetworkError(error('timed_out'), 'connecting', host).code, 'connect_timeout');
    assert.equal(readNetworkError(error('timed_out'), 'departed', host).code, 'timeout');
  });

  it('finds the code inside causes and aggregated attempts', () => {
    const aggregated = new AggregateError([error('ECONNREFUSED'), error('ENETUNREACH')]);
    assert.equal(readNetworkError(aggregated, 'connecting', host).code, 'refused');
    const caused = new Error('fetch failed', { cause: error('ENOTFOUND') });
    assert.equal(readNetworkError(caused, 'connecting', host).code, 'dns');
  });

  it('classifies every certificate error as configuration, and names the host', () => {
    const codes = [
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'CERT_HAS_EXPIRED',
      'CERT_NOT_YET_VALID',
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'ERR_SSL_WRONG_VERSION_NUMBER',
      'ERR_OSSL_PEM_NO_START_LINE',
    ];
    for (const code of codes) {
      const outcome = readNetworkError(error(code), 'connecting', host);
      assert.deepEqual([outcome.kind, outcome.code], ['configuration', 'tls'], code);
      assert.ok(outcome.message.includes(host), code);
    }
  });

  it('is ambiguous for a broken TLS record after the request was sent', () => {
    const outcome = readNetworkError(error('ERR_SSL_BAD_RECORD_TYPE'), 'departed', host);
    assert.ok(outcome.kind === 'retriable' && outcome.ambiguous);
  });

  it('shows no text of the error, which may contain a URL with a password', () => {
    for (const thrown of [
      error('EWHATEVER'),
      new Error('http://me:secret@host'),
      'secret',
      null,
      undefined,
    ]) {
      for (const phase of ['connecting', 'departed'] as const) {
        assert.doesNotMatch(readNetworkError(thrown, phase, host).message, /secret|details/);
      }
    }
  });
});
