// Classifies HTTP replies of the service: one outcome for each row of the table in service.md 3.4.
import type {
  AuthOutcome,
  LoginRefusal,
  PostOutcome,
  ReadFailure,
  ReadOutcome,
  RequestCounts,
} from './outcome';
import { quote, quoteCode, safeWords } from './quote';
import { headerValues, retryAfterMs, type ReplyHeaders } from './retry-after';
import { asObject, authReplySchema, parseJson, postReplySchema, unwrap, type Envelope } from './schemas';
import { jsonWithoutSecrets, withoutSecrets } from '../login/secrets';

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
  const json = jsonOf(reply);
  const envelope = unwrap(json);
  if (isSuccess(reply.status, envelope)) return readAcceptance(json, envelope, reply.secrets);
  return readRefusal(reply, json, wallMs);
}

/** Classifies the reply of one authentication. A refused login is final until the credentials change (service.md 2). */
export function readAuthReply(reply: HttpReply, wallMs: number = Date.now()): AuthOutcome {
  const json = parseJson(reply.body);
  const envelope = unwrap(json);
  if (!isSuccess(reply.status, envelope)) return asAuthOutcome(readRefusal(reply, json, wallMs));
  const read = authReplySchema.safeParse(json);
  if (read.success) return { kind: 'token', token: read.data.token };
  return passing('no_token', true, 'The service accepted the login but its reply contains no usable token.');
}

/** Classifies the reply of a read. `parse` returns the value, or null for an unknown shape. */
export function readReply<T>(
  reply: HttpReply,
  parse: (json: unknown) => T | null,
  wallMs: number = Date.now(),
): ReadOutcome<T> {
  const json = jsonOf(reply);
  const envelope = unwrap(json);
  if (!isSuccess(reply.status, envelope)) return readRefusal(reply, json, wallMs);
  const value = parse(json);
  if (value !== null) return { kind: 'read', value };
  return passing('unknown_reply', false, 'The service replied in a form that this version cannot read.');
}

/** The body as JSON, for calls whose only secret is the token. */
function jsonOf({ body, secrets = [] }: HttpReply): unknown {
  return jsonWithoutSecrets(parseJson(body), body, secrets);
}

/** A call succeeded only if its body has status OK and no `error_id`, whatever the HTTP status (service.md 2). */
function isSuccess(status: number, envelope: Envelope | null): envelope is Envelope {
  return status >= 200 && status < 300 && envelope?.status === 'OK' && textOf(envelope, 'error_id') === null;
}

function readAcceptance(json: unknown, envelope: Envelope, secrets?: readonly string[]): PostOutcome {
  const { warnings } = envelope;
  const counts = countsIn(envelope);
  if (warnings === undefined || warnings === null || (Array.isArray(warnings) && warnings.length === 0)) {
    if (counts.users !== 0) return { kind: 'accepted', warnings: [], counts };
    const message = 'The service replied OK, but counted no user in the request and gave no warning.';
    return { kind: 'bodyRefused', code: NOTHING_COUNTED, message };
  }
  const read = postReplySchema.safeParse(json);
  // The status is OK, so unreadable warnings are attached to the outcome and reject no entry.
  if (!read.success)
    return {
      kind: 'accepted',
      warnings: [{ message: quote(JSON.stringify(warnings), secrets), entity: warnings }],
      counts,
    };
  const list = read.data.warnings;
  if (!list.some(({ message }) => NOTHING_VALID_WARNING.test(message.trim()))) {
    return { kind: 'accepted', warnings: list, counts };
  }
  const reasons = new Set(
    list.map(({ message }) => message.trim()).filter((one) => !NOTHING_VALID_WARNING.test(one)),
  );
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
    'The service refused the login: check user name and password, or key name and private key, of the account',
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

/** HTTP statuses that decide the outcome, whatever the body contains. */
function readStatus({ status, url = 'this address' }: HttpReply, detail: string): ReadFailure | null {
  if (status >= 300 && status < 400) {
    return configuration(
      'redirect',
      `Correct the URL in the account: ${url} answers with a redirect${detail}. Redirects are not followed, since they would send the token to another host.`,
    );
  }
  if (status === 403)
    return configuration(
      'http_403',
      `Check member, permissions and the allowed addresses: the service forbids this call${detail}.`,
    );
  if (status === 404)
    return configuration(
      'http_404',
      `Correct the URL in the account: the service has no address ${url}${detail}.`,
    );
  if (status === 405)
    return configuration(
      'http_405',
      `Correct the URL in the account: the service does not allow this kind of call at ${url}${detail}.`,
    );
  if (status === 407)
    return configuration(
      'http_407',
      `The proxy requires a login${detail}: check the proxy's user name and password.`,
    );
  // Sent by a gateway; the service may still be working on the request.
  if (status === 502 || status === 504)
    return passing(`http_${status}`, true, `A gateway got no answer from the service${detail}.`);
  return null;
}

function readErrorId(
  status: number,
  errorId: string | null,
  notOk: boolean,
  own: boolean,
  detail: string,
): ReadFailure {
  if (errorId === 'SYSTEM')
    return passing('SYSTEM', false, `The service reports an internal error${detail}.`);
  if (status === 408 || status >= 500)
    return passing(`http_${status}`, !own, `The service could not answer${detail}.`);
  if (errorId === 'SYNTAX' || errorId === 'INTEGRITY') return bodyRefused(errorId, detail);
  if (status >= 400) return bodyRefused(`http_${status}`, detail);
  if (notOk) return bodyRefused(STATUS_NOT_OK, detail);
  if (errorId !== null)
    return passing('unknown_error', false, `The service refused the call with an unknown error${detail}.`);
  return passing(
    'unreadable',
    true,
    `The reply is not the service's own${detail}: a proxy or gateway may have sent it.`,
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

function passing(code: string, ambiguous: boolean, message: string) {
  return { kind: 'passing', ambiguous, code, message } as const;
}
