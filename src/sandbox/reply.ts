// What the service answers: a status, headers and a body that is ready to be sent.

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Beside the content type, which is JSON unless said here. */
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

/** A refusal in the service's own form; it comes with HTTP 200 more often than not. */
export function errorReply(status: number, errorId: ErrorId, error: string): Reply {
  return jsonReply({ response: { error_id: errorId, error, dbg_info: {} } }, status);
}

/**
 * How a call over quota is refused. The documents know several ways (service.md 3.4):
 * `429`, `503` with `x-ratelimit-code`, or `LIMIT` as the error of a 200.
 */
export const rateLimitForms = ['429', '503', 'LIMIT'] as const;
type RateLimitForm = (typeof rateLimitForms)[number];

export interface RateLimitStyle {
  readonly form: RateLimitForm;
  /** Sent as `Retry-After` headers, one each; the samples carry two that differ. */
  readonly retryAfterSeconds: readonly number[];
}

/** `what` is counted: `100 writes`; `resource` is the last part of the path. */
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
