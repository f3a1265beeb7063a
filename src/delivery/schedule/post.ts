// Request in flight, and its possible outcomes.

import type { PostOutcome, TokenOutcome } from '../../service/reply/outcome';
import type { Group } from './bisection';
import type { Permit } from './rate-limiter';
import type { PackedUser } from './batch-builder';

export interface Post {
  readonly number: number;
  /** The account whose login sends it. */
  readonly account: string;
  readonly body: string;
  /** Monotonic ms when the body was built. */
  readonly madeMs: number;
  readonly users: readonly PackedUser[];
  readonly permit: Permit;
  /** The group and the permit of the quarter, for a request of a bisection; else null. */
  readonly search: { readonly group: Group; readonly permit: Permit } | null;
  /** Monotonic ms; 0 until it is sent. */
  sentMs: number;
}

/** Outcome of a request, or the reason why there was no token to send it with. */
export type Settled = PostOutcome | { readonly kind: 'notSent'; readonly token: TokenOutcome };
