// One request on its way, and what can become of it.

import type { PostOutcome, TokenOutcome } from '../../service/reply/outcome';
import type { Group } from './bisection';
import type { Grant } from './rate-limiter';
import type { PackedUser } from './batch-builder';

export interface Post {
  readonly number: number;
  /** The account whose login sends it. */
  readonly account: string;
  readonly body: string;
  /** When its body was made up, in monotonic ms. */
  readonly madeMs: number;
  readonly users: readonly PackedUser[];
  readonly grant: Grant;
  /** Of a search for what the service refused, with its share of the quarter; else null. */
  readonly search: { readonly group: Group; readonly grant: Grant } | null;
  /** Monotonic ms; 0 until it left. */
  sentMs: number;
}

/** A post's outcome, or that it never left because there was no token. */
export type Settled = PostOutcome | { readonly kind: 'notSent'; readonly token: TokenOutcome };
