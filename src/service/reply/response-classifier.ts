// Classifies HTTP replies of the service: one outcome for each row of the table in service.md 3.4.
import type {
  AuthOutcome,
  LoginRefusal,
  PostOutcome,
  ReadFailure,
  ReadOutcome,
  RequestCounts,
  Warning,
} from './outcome';
import { quote, quoteCode, safeWords, withoutSecrets } from './quote';
import { headerValues, retryAfterMs, type ReplyHeaders } from './retry-after';

/** A complete reply. Its content type says nothing, so the body is text until a reader parses it (service.md 2). */
export interface HttpReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: string;
  /** The URL of the call without its query, for messages about a wrong URL. */
  readonly url?: string;
  /** Token, password or key of the call, which no message may contain. */
  readonly secrets?: readonly string[];
}

/** Code for a reply with status OK whose warnings say that nothing in the request was valid. */
const NOTHING_VALID = 'no_valid_rt_segment';

/** Code for a reply with status OK that counts no user and has no warning. */
const NOTHING_COUNTED = 'nothing_counted';

/** Code for a reply whose only sign of a refusal is a `status` other than OK. */
const STATUS_NOT_OK = 'status_not_ok';

const NOTHING_VALID_WARNING = /^No valid rt_segment in request\.?$/i;
const RATE_SENTENCE = /rate limit exceeded\. you have exceeded your request limit/i;

/**
 * Classifies the reply of one `POST /rt-segment`.
 *
 * `ambiguous` is false only if the service itself replied. Behind a 502 or 504, and behind every reply that is not
 * provably the service's own, the post may have been applied, or may still be.
 *
 * @param wallMs epoch ms, for a Retry-After date in a reply without a `Date`
 */
export function readPostReply(reply: HttpReply, wallMs: number = Date.now()): PostOutcome {
  const json = parseJson(reply.body, reply.secrets);
  const envelope = unwrap(json);
  if (isSuccess(reply.status, envelope)) return readAcceptance(envelope, reply.secrets);
  return readRefusal(reply, json, wallMs);
}

/** Classifies the reply of one authentication. A refused login is final until the credentials change (service.md 2). */
export function readAuthReply(reply: HttpReply, wallMs: number = Date.now()): AuthOutcome {
  const json = parseJson(reply.body);
  const envelope = unwrap(json);
  if (!isSuccess(reply.status, envelope)) return asAuthOutcome(readRefusal(reply, json, wallMs));
  const { token } = envelope;
  // Blanks or control characters cannot stand in a header.
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return { kind: 'token', token };
  return retriable(
    'no_token',
    true,
    'The service accepted the login but its reply contains no usable token.',
  );
}

/** Classifies the reply of a read. `parse` returns the value, or null for an unknown shape. */
export function readReply<T>(
  reply: HttpReply,
  parse: (json: unknown) => T | null,
  wallMs: number = Date.now(),
): ReadOutcome<T> {
  const json = parseJson(reply.body, reply.secrets);
  const envelope = unwrap(json);
  if (!isSuccess(reply.status, envelope)) return readRefusal(reply, json, wallMs);
  const value = parse(json);
  if (value !== null) return { kind: 'read', value };
  return retriable('unknown_reply', false, 'The service replied in a form that this version cannot read.');
}

/** A call succeeded only if its body has status OK and no `error_id`, whatever the HTTP status (service.md 2). */
function isSuccess(status: number, envelope: Envelope | null): envelope is Envelope {
  return status >= 200 && status < 300 && envelope?.status === 'OK' && textOf(envelope, 'error_id') === null;
}

function readAcceptance(envelope: Envelope, secrets?: readonly string[]): PostOutcome {
  const counts = countsIn(envelope);
  // The status is OK, so unreadable warnings are attached to the outcome and reject no entry.
  const warnings = Array.isArray(envelope.warnings)
    ? envelope.warnings.map(warningOf)
    : envelope.warnings == null
      ? []
      : [{ message: quote(JSON.stringify(envelope.warnings), secrets), entity: envelope.warnings }];
  if (warnings.length === 0 && counts.users === 0) {
    const message = 'The service replied OK, but counted no user in the request and gave no warning.';
    return { kind: 'bodyRefused', code: NOTHING_COUNTED, message };
  }
  const texts = warnings.map(({ message }) => message.trim());
  const reasons = new Set(texts.filter((text) => !NOTHING_VALID_WARNING.test(text)));
  if (!texts.some((text) => NOTHING_VALID_WARNING.test(text))) return { kind: 'accepted', warnings, counts };
  const shown = [...reasons]
    .slice(0, 5)
    .map((reason) => safeWords(reason, secrets))
    .join(' · ');
  return {
    kind: 'bodyRefused',
    code: NOTHING_VALID,
    message: `The service found nothing valid in the request${shown === '' ? '.' : `: ${shown}`}`,
  };
}

/** A bare string, or an object without a message, is a warning too, so that none is lost. */
function warningOf(value: unknown): Warning {
  if (typeof value === 'string') return { message: value, entity: undefined };
  const warning = asObject(value);
  if (typeof warning?.message === 'string') return { message: warning.message, entity: warning.entity };
  return { message: `A warning without a message: ${JSON.stringify(value).slice(0, 200)}`, entity: value };
}

/** The counts, with or without the `message` level (service.md 3.3). */
function countsIn(envelope: Envelope): RequestCounts {
  const level = asObject(envelope.message) ?? envelope;
  return { users: countOf(level.users_in_request), segments: countOf(level.segments_in_request) };
}

function countOf(value: unknown): number | null {
  const count = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : null;
}

function readRefusal(reply: HttpReply, json: unknown, wallMs: number): ReadFailure {
  const { status } = reply;
  const envelope = unwrap(json);
  const notOk = hasStatusNotOk(status, json);
  const errorId = textOf(envelope, 'error_id');
  const detail = detailOf(reply, envelope);
  if (isRateLimited(reply, envelope, notOk)) {
    const waitMs = retryAfterMs(reply.headers, wallMs);
    const message = `The service limits the rate of calls${detail}; next try in ${Math.ceil(waitMs / 1000)} s.`;
    return { kind: 'rateLimited', retryAfterMs: waitMs, message };
  }
  if (errorId === 'NOAUTH_EXPIRED' || errorId === 'NOAUTH_DISABLED' || errorId === 'UNAUTH') {
    return { kind: 'loginRefused', code: errorId, message: `${loginSentences[errorId]}${detail}.` };
  }
  if (status === 401 || errorId === 'NOAUTH') {
    return { kind: 'deadToken', message: `The service no longer accepts the token${detail}.` };
  }
  return (
    readStatus(reply, detail) ?? readErrorId(status, errorId, notOk, notOk || hasErrorCode(envelope), detail)
  );
}

const loginSentences: Readonly<Record<LoginRefusal, string>> = {
  NOAUTH:
    'The service refused the login: check username and password, or key name and private key, of the account',
  NOAUTH_EXPIRED: 'The password has expired: set a new one at the service and enter it in the account',
  NOAUTH_DISABLED: 'The service has switched this account off: ask its support',
  UNAUTH: 'This login is not allowed to do this: ask the service for the permission',
};

/**
 * Signs of a rate limit: 429; 503 or 405 with `x-ratelimit-code`; RATE_EXCEEDED; LIMIT; or the documented sentence. A
 * reply that refuses the body may repeat an entry, so there only a code, or the beginning of the text, counts. Else an
 * entry with the segment code RATE_EXCEEDED would look like a rate limit forever.
 */
function isRateLimited(
  { status, headers, body }: HttpReply,
  envelope: Envelope | null,
  notOk: boolean,
): boolean {
  if (status === 429) return true;
  if ((status === 503 || status === 405) && headerValues(headers, 'x-ratelimit-code').length > 0) return true;
  const codes = ['error_id', 'error_code', 'code'].map((key) => textOf(envelope, key));
  if (codes.includes('RATE_EXCEEDED') || codes.includes('LIMIT')) return true;
  if (codes[0] === 'SYNTAX' || codes[0] === 'INTEGRITY' || notOk) {
    const error = textOf(envelope, 'error') ?? '';
    return error.search(RATE_SENTENCE) === 0 || /^\W*RATE_EXCEEDED\b/.test(error);
  }
  return RATE_SENTENCE.test(body) || /\bRATE_EXCEEDED\b/.test(body);
}

/** What a status means that decides the outcome, whatever the body contains. `detail` and `url` of the call. */
const statusSentences: Readonly<Record<number, (detail: string, url: string) => string>> = {
  403: (detail) =>
    `Check member, permissions and the allowed addresses: the service forbids this call${detail}.`,
  404: (detail, url) => `Correct the URL in the account: the service has no address ${url}${detail}.`,
  405: (detail, url) =>
    `Correct the URL in the account: the service does not allow this kind of call at ${url}${detail}.`,
  407: (detail) => `The proxy requires a login${detail}: check the proxy's username and password.`,
};

function readStatus({ status, url = 'this address' }: HttpReply, detail: string): ReadFailure | null {
  if (status >= 300 && status < 400) {
    return configuration(
      'redirect',
      `Correct the URL in the account: ${url} answers with a redirect${detail}. Redirects are not followed, since they would send the token to another host.`,
    );
  }
  // Sent by a gateway; the service may still be working on the request.
  if (status === 502 || status === 504)
    return retriable(`http_${status}`, true, `A gateway got no answer from the service${detail}.`);
  const message = statusSentences[status]?.(detail, url);
  return message === undefined ? null : configuration(`http_${status}`, message);
}

function readErrorId(
  status: number,
  errorId: string | null,
  notOk: boolean,
  own: boolean,
  detail: string,
): ReadFailure {
  if (errorId === 'SYSTEM')
    return retriable('SYSTEM', false, `The service reports an internal error${detail}.`);
  if (status === 408 || status >= 500)
    return retriable(`http_${status}`, !own, `The service could not answer${detail}.`);
  if (errorId === 'SYNTAX' || errorId === 'INTEGRITY') return bodyRefused(errorId, detail);
  if (status >= 400) return bodyRefused(`http_${status}`, detail);
  if (notOk) return bodyRefused(STATUS_NOT_OK, detail);
  if (errorId !== null)
    return retriable('unknown_error', false, `The service refused the call with an unknown error${detail}.`);
  return retriable(
    'unreadable',
    true,
    `The reply is not the service's own${detail}: check the URL in the account; a proxy or gateway may have sent it.`,
  );
}

function bodyRefused(code: string, detail: string): ReadFailure {
  return { kind: 'bodyRefused', code, message: `The service refused something in this request${detail}.` };
}

function asAuthOutcome(failure: ReadFailure): AuthOutcome {
  switch (failure.kind) {
    case 'deadToken': {
      const detail = failure.message.replace(/^The service no longer accepts the token/, '');
      return { kind: 'loginRefused', code: 'NOAUTH', message: `${loginSentences.NOAUTH}${detail}` };
    }
    case 'bodyRefused':
      return configuration(
        failure.code,
        failure.message.replace('something in this request', 'the form of the login'),
      );
    default:
      return failure;
  }
}

/**
 * Whether the service's own reply has a `status` other than OK. Outside the `response` envelope the JSON of a gateway
 * may have a `status` too, so there it counts only in a 2xx.
 */
function hasStatusNotOk(httpStatus: number, json: unknown): boolean {
  const outer = asObject(json);
  const is2xx = httpStatus >= 200 && httpStatus < 300;
  const status = asObject(outer?.response)?.status ?? (is2xx ? outer?.status : null);
  return status !== undefined && status !== null && status !== 'OK';
}

/** The service's own refusals contain an error id or code as text; a gateway's page or JSON does not. */
function hasErrorCode(envelope: Envelope | null): boolean {
  return textOf(envelope, 'error_id') !== null || textOf(envelope, 'error_code') !== null;
}

/** Status, code and quoted text of a refusal, such as ` (HTTP 503, SYSTEM: "text")`. */
function detailOf({ status, body, secrets = [] }: HttpReply, envelope: Envelope | null): string {
  const code = textOf(envelope, 'error_id') ?? textOf(envelope, 'error_code');
  const words = quote(
    envelope === null
      ? wordsOf(withoutSecrets(body, secrets))
      : (textOf(envelope, 'error') ?? textOf(envelope, 'error_description')),
    secrets,
  );
  const reason = [code === null ? '' : quoteCode(code, secrets), words]
    .filter((part) => part !== '')
    .join(': ');
  return ` (HTTP ${status}${reason === '' ? '' : `, ${reason}`})`;
}

/** The text of a gateway's HTML page, without tags. */
function wordsOf(body: string): string {
  return body.slice(0, 2000).replace(/<[^<>]*>/g, ' ');
}

function textOf(envelope: Envelope | null, key: string): string | null {
  const value = asObject(envelope)?.[key];
  return typeof value === 'string' && value !== '' ? value : null;
}

function configuration(code: string, message: string) {
  return { kind: 'configuration', code, message } as const;
}

function retriable(code: string, ambiguous: boolean, message: string) {
  return { kind: 'retriable', ambiguous, code, message } as const;
}

export type Envelope = Readonly<Record<string, unknown>>;

/** A JSON object, or null for anything else. */
export function asObject(value: unknown): Envelope | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Envelope) : null;
}

/** A reply without its `response` envelope, if it has one; null when the body is not a JSON object. */
export function unwrap(json: unknown): Envelope | null {
  const outer = asObject(json);
  return outer === null ? null : (asObject(outer.response) ?? outer);
}

/** The service's own replies are six levels deep. Functions that read a value recurse once per level. */
const MAX_LEVELS = 100;

/**
 * The body as JSON, with `masked` secrets in every text; undefined when it is not JSON, or has more than 100 levels.
 * A password is never masked: it may be a word such as `OK`, which the reply needs.
 */
function parseJson(body: string, masked: readonly string[] = []): unknown {
  if (isTooDeep(body)) return undefined;
  // A backslash may escape any character of a secret.
  const isClean = !body.includes('\\') && withoutSecrets(body, masked) === body;
  const mask = (_key: string, value: unknown): unknown =>
    typeof value === 'string' ? withoutSecrets(value, masked) : value;
  try {
    return JSON.parse(body.charCodeAt(0) === 0xfeff ? body.slice(1) : body, isClean ? undefined : mask);
  } catch {
    return undefined;
  }
}

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [34, 92, 91, 93, 123, 125];

/** Counts levels in the text, since `JSON.parse` itself recurses. */
function isTooDeep(body: string): boolean {
  if (body.length <= MAX_LEVELS) return false;
  let levels = 0;
  let inText = false;
  for (let at = 0; at < body.length; at++) {
    const mark = body.charCodeAt(at);
    if (inText) {
      if (mark === BACKSLASH) at += 1;
      else if (mark === QUOTE) inText = false;
    } else if (mark === QUOTE) inText = true;
    else if (mark === OPEN_LIST || mark === OPEN_OBJECT) {
      levels += 1;
      if (levels > MAX_LEVELS) return true;
    } else if (mark === CLOSE_LIST || mark === CLOSE_OBJECT) levels -= 1;
  }
  return false;
}
