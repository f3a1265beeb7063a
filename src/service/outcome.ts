// What a call to the service came to: every row of the table in service.md 3.4 as a case of its own.

/** A warning of an accepted post, as the service sent it (service.md 3.3). */
export interface Warning {
  readonly message: string;
  readonly entity: unknown;
}

/** What an accepted post's reply counted in the request; null where it does not say. */
export interface RequestCounts {
  readonly users: number | null;
  readonly segments: number | null;
}

/**
 * What one `POST /rt-segment` came to. `message` is safe to show: it never holds a token or a secret.
 *
 * - `accepted`: status OK and something in the request was valid. With `counts` below what was sent, not all of it may
 *   have been read.
 * - `rateLimited`: nothing was applied; wait `retryAfterMs` (the larger of doubled headers, else 1 s).
 * - `deadToken`: the token is not valid (any more); one new token, then once more.
 * - `loginRefused`: final until somebody changes the credentials or the account at the service.
 * - `configuration`: 403, 404, 405, 407, certificate or host name; try again slowly.
 * - `passing`: retry with backoff. `ambiguous` means no reply of the service's own arrived after the request
 *   may have left: it may have been applied or may still be.
 * - `bodyRefused`: something in this body; find which entry, deliver the rest.
 */
export type PostOutcome =
  | { readonly kind: 'accepted'; readonly warnings: readonly Warning[]; readonly counts: RequestCounts }
  | { readonly kind: 'rateLimited'; readonly retryAfterMs: number; readonly message: string }
  | { readonly kind: 'deadToken'; readonly message: string }
  | { readonly kind: 'loginRefused'; readonly code: LoginRefusal; readonly message: string }
  | { readonly kind: 'configuration'; readonly code: string; readonly message: string }
  | { readonly kind: 'passing'; readonly ambiguous: boolean; readonly code: string; readonly message: string }
  | { readonly kind: 'bodyRefused'; readonly code: string; readonly message: string };

/** The service's `error_id`s that stop an account until somebody acts. */
export type LoginRefusal = 'NOAUTH' | 'NOAUTH_EXPIRED' | 'NOAUTH_DISABLED' | 'UNAUTH';

/** What one authentication came to (service.md 2). */
export type AuthOutcome =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'loginRefused'; readonly code: LoginRefusal; readonly message: string }
  | { readonly kind: 'rateLimited'; readonly retryAfterMs: number; readonly message: string }
  | { readonly kind: 'configuration'; readonly code: string; readonly message: string }
  | {
      readonly kind: 'passing';
      /** False when it certainly gave no token; absent or true, it may have, and counts towards the limit. */
      readonly ambiguous?: boolean;
      readonly code: string;
      readonly message: string;
    };

/** Why a read (segments, usage) gave nothing; `bodyRefused` speaks of the query then. */
export type ReadFailure = Exclude<PostOutcome, { readonly kind: 'accepted' }>;

/** What a read came to. */
export type ReadOutcome<T> = { readonly kind: 'read'; readonly value: T } | ReadFailure;

/** What a token source has to say when a post wants a token. */
export type TokenOutcome =
  | { readonly kind: 'token'; readonly token: string }
  /** Not now: passing trouble or the limit of authentications; ask again after `retryAfterMs`. */
  | { readonly kind: 'wait'; readonly retryAfterMs: number; readonly code: string; readonly message: string }
  /** Final until the credentials change. */
  | { readonly kind: 'loginRefused'; readonly code: LoginRefusal; readonly message: string };

/** What became of one entry of an accepted post, read from the warnings. */
export type EntryVerdict =
  | { readonly kind: 'accepted'; readonly warnings: readonly string[] }
  /** Past the 1000th user: not applied; send it again in a later call. */
  | { readonly kind: 'again' }
  | { readonly kind: 'rejected'; readonly code: string; readonly message: string }
  /** Some blocks were refused (by index in the sent seg_block), the others applied. */
  | { readonly kind: 'partly'; readonly blocks: ReadonlyMap<number, { code: string; message: string }> };
