// The wire of the sandbox: untrusted JSON, bodies of requests, and replies.
import type { IncomingMessage, ServerResponse } from 'node:http';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined for text that is not JSON; no JSON text has this value. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export interface Body {
  /** Empty when the body is larger than the limit. */
  readonly text: string;
  /** Number of all received bytes, including those beyond the limit. */
  readonly bytes: number;
}

/** Above this size the connection is cut; a smaller body over the limit is discarded and refused with a reply. */
const maxDiscardedBytes = 64_000_000;

/**
 * Calls `then` once: with the body, or with null when the client disconnects. A body over the limit is read to its end
 * and discarded, since few clients read a reply before they have sent the whole body.
 */
export function readBody(
  request: IncomingMessage,
  limitBytes: number,
  then: (body: Body | null) => void,
): void {
  let chunks: Buffer[] = [];
  let bytes = 0;
  let over = false;
  const finish = (body: Body | null) => {
    if (!over) then(body);
    over = true;
  };
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxDiscardedBytes) request.destroy();
    else if (bytes > limitBytes) chunks = [];
    else chunks.push(chunk);
  });
  request.on('end', () => finish({ text: toText(chunks), bytes }));
  request.on('error', () => finish(null));
  request.on('close', () => finish(null));
}

function toText(chunks: readonly Buffer[]): string {
  return (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8');
}

/** Sends a reply, unless the client has disconnected. */
export function send(response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return;
  response.statusCode = reply.status;
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', Buffer.byteLength(reply.body));
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  response.end(reply.body);
}

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Further headers. The content type is JSON unless set here. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** The `error_id` values of service.md 2. */
export const errorIds = [
  'NOAUTH',
  'NOAUTH_EXPIRED',
  'NOAUTH_DISABLED',
  'UNAUTH',
  'SYNTAX',
  'INTEGRITY',
  'LIMIT',
  'SYSTEM',
] as const;
export type ErrorId = (typeof errorIds)[number];

export function jsonReply(value: unknown, status = 200): Reply {
  return { status, body: JSON.stringify(value) };
}

/** A refusal in the service's own form, often with HTTP 200. */
export function errorReply(status: number, errorId: ErrorId, error: string): Reply {
  return jsonReply({ response: { error_id: errorId, error, dbg_info: {} } }, status);
}

/**
 * The documented forms of refusing a call over quota (service.md 3.4): 429, 503 with `x-ratelimit-code`, `LIMIT` in a
 * 200.
 */
export const rateLimitForms = ['429', '503', 'LIMIT'] as const;
type RateLimitForm = (typeof rateLimitForms)[number];

export interface RateLimitStyle {
  readonly form: RateLimitForm;
  /** Sent as one `Retry-After` header each; the documented samples have two different ones. */
  readonly retryAfterSeconds: readonly number[];
}

/** @param what the unit of the limit, such as `writes`; @param resource the last part of the path */
export function rateLimitedReply(
  style: RateLimitStyle,
  limit: number,
  what: string,
  resource: string,
  perSeconds = 1,
): Reply {
  const error =
    `Rate limit exceeded. You have exceeded your request limit of ${limit} ${what} per ${perSeconds} seconds to ` +
    `${resource}, please wait and try again or contact Xandr for higher limits`;
  if (style.form === 'LIMIT') return errorReply(200, 'LIMIT', error);
  return {
    status: Number(style.form),
    headers: {
      'retry-after': style.retryAfterSeconds.map(String),
      'x-ratelimit-code': '429',
      'x-ratelimit-count': String(limit),
      'x-an-user-id': '1234',
    },
    body: JSON.stringify({ response: { error_code: 'RATE_EXCEEDED', error } }),
  };
}
