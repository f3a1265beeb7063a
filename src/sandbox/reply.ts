// Replies of the sandbox: status, headers and body.

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
