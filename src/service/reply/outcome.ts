// Outcomes of calls to the service, one kind for each row of the table in service.md 3.4.

/** A warning of an accepted post, as the service sent it (service.md 3.3). */
export interface Warning {
  readonly message: string;
  readonly entity: unknown;
}

/** The counts in the reply of an accepted post; null where the reply has none. */
export interface RequestCounts {
  readonly users: number | null;
  readonly segments: number | null;
}

/**
 * The outcome of one `POST /rt-segment`. `message` is safe to show: it never contains a token or another secret.
 *
 * - `accepted`: status OK, and something in the request was valid. `counts` below the numbers sent mean that the
 *   service may have missed a part.
 * - `rateLimited`: nothing was applied; wait `retryAfterMs` (the largest of several headers, 1 s without one).
 * - `deadToken`: the token is not valid; get a new one and try once more.
 * - `loginRefused`: final until the credentials, or the account at the service, change.
 * - `configuration`: 403, 404, 405, 407, certificate or host name; try again slowly.
 * - `retriable`: try again with backoff. `ambiguous`: the request may have been sent, and no reply of the service's own
 *   arrived, so it may have been applied, or may still be.
 * - `bodyRefused`: the service refuses something in this body; find the entry and deliver the rest.
 */
export type PostOutcome =
  | { readonly kind: 'accepted'; readonly warnings: readonly Warning[]; readonly counts: RequestCounts }
  | { readonly kind: 'rateLimited'; readonly retryAfterMs: number; readonly message: string }
  | { readonly kind: 'deadToken'; readonly message: string }
  | { readonly kind: 'loginRefused'; readonly code: LoginRefusal; readonly message: string }
  | { readonly kind: 'configuration'; readonly code: string; readonly message: string }
  | {
      readonly kind: 'retriable';
      readonly ambiguous: boolean;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'bodyRefused'; readonly code: string; readonly message: string };

/** The `error_id`s of the service that stop an account until its owner acts. */
export type LoginRefusal = 'NOAUTH' | 'NOAUTH_EXPIRED' | 'NOAUTH_DISABLED' | 'UNAUTH';

/** The outcome of one authentication (service.md 2). */
export type AuthOutcome =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'loginRefused'; readonly code: LoginRefusal; readonly message: string }
  | { readonly kind: 'rateLimited'; readonly retryAfterMs: number; readonly message: string }
  | { readonly kind: 'configuration'; readonly code: string; readonly message: string }
  | {
      readonly kind: 'retriable';
      /**
       * False: the service certainly gave no token. True or absent: it may have, so the login counts towards the limit.
       */
      readonly ambiguous?: boolean;
      readonly code: string;
      readonly message: string;
    };

/** The outcome of a failed read (segments, usage); here `bodyRefused` concerns the query. */
export type ReadFailure = Exclude<PostOutcome, { readonly kind: 'accepted' }>;

export type ReadOutcome<T> = { readonly kind: 'read'; readonly value: T } | ReadFailure;

/** The outcome of asking for a token. */
export type TokenOutcome =
  | { readonly kind: 'token'; readonly token: string }
  /** No token yet, because of a retriable failure or the limit of authentications: ask again after `retryAfterMs`. */
  | { readonly kind: 'wait'; readonly retryAfterMs: number; readonly code: string; readonly message: string }
  /** Final until the credentials change. */
  | { readonly kind: 'loginRefused'; readonly code: LoginRefusal; readonly message: string };

/** The result for one entry of an accepted post, from the warnings. */
export type EntryVerdict =
  | { readonly kind: 'accepted'; readonly warnings: readonly string[] }
  /** Beyond the 1000th user of the request: not applied; send it again in a later call. */
  | { readonly kind: 'again' }
  | { readonly kind: 'rejected'; readonly code: string; readonly message: string }
  /** The service refused these blocks (key: index in the sent `seg_block`) and applied the others. */
  | { readonly kind: 'partly'; readonly blocks: ReadonlyMap<number, { code: string; message: string }> };
