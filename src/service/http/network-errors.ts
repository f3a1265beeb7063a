// Classifies exchanges that ended without a reply: configuration or retriable, ambiguous or not (service.md 3.4, last
// rows).
import type { PostOutcome } from '../reply/outcome';

/**
 * `connecting`: no byte of the request was sent. `departed`: the service may have received part or all of the request.
 */
export type NetworkPhase = 'connecting' | 'departed';

/** Our own error codes, for exchanges that the client itself ended. */
export const TIMED_OUT = 'timed_out';
export const HELD_BACK = 'held_back';
export const REPLY_TOO_LARGE = 'reply_too_large';
export const CLOSED = 'closed';

export type NetworkFailure = Extract<PostOutcome, { readonly kind: 'configuration' | 'retriable' }>;

/**
 * Errors of certificates and host names, and a proxy's refusals, are `configuration`; all others are `retriable`, and
 * `ambiguous` once the request may have been sent.
 *
 * @param host the host as the message shows it, such as `streaming-data.appnexus.com`
 */
export function readNetworkError(error: unknown, phase: NetworkPhase, host: string): NetworkFailure {
  const code = codeOf(error);
  const certificate = certificateSentence(code, phase, host);
  if (certificate !== null) return { kind: 'configuration', code: 'tls', message: certificate };
  const proxyStatus = proxyStatusOf(error);
  if (proxyStatus !== null && phase === 'connecting') return readProxyRefusal(proxyStatus, host);
  const ambiguous = phase === 'departed';
  const [ourCode, sentence] = describe(code, phase, host);
  return { kind: 'retriable', ambiguous, code: ourCode, message: sentence };
}

/** The first code found in an error, its causes and the attempts of an AggregateError. */
function codeOf(error: unknown, depth = 0): string {
  if (typeof error !== 'object' || error === null || depth > 3) return '';
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown };
  if (code === 'UND_ERR_PRX_TLS' && cause !== undefined) return codeOf(cause, depth + 1);
  if (typeof code === 'string') return code;
  const inner: unknown = Array.isArray(errors) ? errors[0] : cause;
  return codeOf(inner, depth + 1);
}

const WRONG_HOST = new Set(['ERR_TLS_CERT_ALTNAME_INVALID', 'HOSTNAME_MISMATCH']);
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_CHAIN_TOO_LONG',
  'CERT_SIGNATURE_FAILURE',
  'INVALID_CA',
  'INVALID_PURPOSE',
]);
const OUT_OF_DATE = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
/** Our own certificate or key cannot be read, which Node.js reports before anything is sent. */
const OWN_KEY = /^ERR_OSSL_|^ERR_CRYPTO_/;
/** The peer rejects our certificate. With TLS 1.3 this alert may arrive after the request was sent. */
const PEER_ALERT =
  /^ERR_SSL_.*ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE|ACCESS_DENIED|UNSUPPORTED)/;

/** Whether the socket ended because the peer rejects our side of the TLS connection. */
export function isPeerAlert(code: string): boolean {
  return PEER_ALERT.test(code);
}

function certificateSentence(code: string, phase: NetworkPhase, host: string): string | null {
  if (WRONG_HOST.has(code)) {
    return `Check the URL in the account, or the server name of its TLS configuration: the certificate of ${host} is for another hostname.`;
  }
  if (UNTRUSTED.has(code)) {
    return `Certificate not trusted: if it is your own, add its CA to the TLS configuration. It belongs to ${host} (${code}).`;
  }
  if (OUT_OF_DATE.has(code)) {
    return `Check this machine's clock: the certificate of ${host} is out of date (${code}). If the clock is right, ask the operator of ${host} to renew the certificate.`;
  }
  if (PEER_ALERT.test(code)) {
    return `${host} refused our side of the TLS connection (${code}): check certificate and key of the TLS configuration.`;
  }
  if (phase === 'departed') return null;
  if (OWN_KEY.test(code)) {
    return `The certificate or key of the TLS configuration for ${host} cannot be read (${code}): load both again, as PEM, with the key's passphrase if it has one.`;
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return `No TLS connection with ${host} (${code}): check https or http, and the port, in the URL.`;
  }
  return null;
}

/** The HTTP status of a proxy that refuses a tunnel, which undici reports only in the text of its error. */
function proxyStatusOf(error: unknown): number | null {
  const message = error instanceof Error ? error.message : '';
  const status = /^Proxy response \((\d{3})\)/.exec(message)?.[1];
  return status === undefined ? null : Number(status);
}

function readProxyRefusal(status: number, host: string): NetworkFailure {
  if (status === 407) {
    return {
      kind: 'configuration',
      code: 'http_407',
      message: `The proxy on the way to ${host} requires a login (HTTP 407): check the proxy's username and password, in the http proxy node or in the environment variable that names the proxy.`,
    };
  }
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
    return {
      kind: 'configuration',
      code: 'proxy',
      message: `The proxy refuses to connect to ${host} (HTTP ${status}): ask the proxy's operator.`,
    };
  }
  return {
    kind: 'retriable',
    ambiguous: false,
    code: 'proxy',
    message: `The proxy could not reach ${host} (HTTP ${status}): check that the host is right; if it is, ask the proxy's operator.`,
  };
}

function describe(code: string, phase: NetworkPhase, host: string): [code: string, sentence: string] {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
    case 'EAI_FAIL':
      return [
        'dns',
        `Check the network, and the URL in the account: the name of ${host} cannot be resolved (${code}).`,
      ];
    case 'ECONNREFUSED':
      return ['refused', `Check host, port and firewall: ${host} refuses the connection.`];
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENETDOWN':
    case 'EADDRNOTAVAIL':
      return ['unreachable', `No route to ${host} (${code}): check the network.`];
    case TIMED_OUT:
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
    case 'ERR_SOCKET_CONNECTION_TIMEOUT':
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return phase === 'connecting'
        ? ['connect_timeout', `No connection to ${host} was established in time.`]
        : ['timeout', `${host} did not answer in time.`];
    case HELD_BACK:
      return [
        HELD_BACK,
        `Nothing was sent to ${host}: this Node-RED stopped sending before the connection was ready.`,
      ];
    case REPLY_TOO_LARGE:
      return [
        REPLY_TOO_LARGE,
        `The reply of ${host} is larger than any reply of the service and was cut off.`,
      ];
    case CLOSED:
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return [CLOSED, 'The account was closed before the service answered.'];
    default:
      return phase === 'connecting'
        ? ['connect', `The connection to ${host} failed (${code === '' ? 'no reason given' : code}).`]
        : [
            'reset',
            `The connection to ${host} broke before the reply was complete (${code === '' ? 'no reason given' : code}).`,
          ];
  }
}
