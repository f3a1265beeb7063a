// Types of an audience entry: the service's own form, and the checked form that the engine uses.

/** One block of `seg_block` in the service's own form (service.md 3.1). Optional keys are left out, never null. */
export interface SegBlock {
  seg_id?: number;
  seg_code?: string;
  /** The owner of the segment; redundant beside `seg_id`, and not sent then. */
  member_id?: number;
  /** -2147483648 … 2147483647. */
  value?: number;
  /** Minutes; 0 never expires, -1 removes, absent is the member's default. */
  expiration?: number;
}

/** One user with the segments to join or leave, in the service's own form. */
export interface Entry {
  user_id: string;
  /** The kind of id; absent or null for the platform's own and mapped ids. */
  domain?: string | null;
  seg_block: SegBlock[];
  /** Time of the event: epoch ms or ISO 8601. Never sent. */
  event_time?: number | string;
  /** Allows a `domain` outside the service's list. Never sent. */
  custom_domain?: boolean;
}

/** How a block names its segment. Of different entries of a user, the two kinds never share a request (promise 2). */
export type BlockKind = 'id' | 'code';

/** A checked block, serialised once, except for the expiration, which becomes shorter while the block is pending. */
export interface Block {
  /** Identity of the segment: `i10001`, `c1661:abcd`. Codes compare without case. Blocks with equal keys coalesce. */
  readonly key: string;
  readonly kind: BlockKind;
  /** JSON up to the expiration, such as `{"seg_id":10001,"value":1`. The expiration and `}` follow. */
  readonly head: string;
  /** UTF-8 bytes of `head`. */
  readonly headBytes: number;
  /** Minutes as given; null leaves the key out. */
  readonly expiration: number | null;
  /** The whole block as JSON with the expiration as given, since most blocks are sent before it changes. */
  readonly text: string;
}

/** An entry that passed every check, in the form for queue, coalescing and batch. */
export interface CheckedEntry {
  /** Identity of the user: domain and id, in lower case where the kind of id ignores case. */
  readonly userKey: string;
  /**
   * Distinguishes spellings with the same `userKey`: '' for device ids, else the id as given. Blocks coalesce only
   * within one spelling; different spellings go into separate requests, in order.
   */
  readonly spelling: string;
  /** JSON in the service's own form, with the expirations as given. In one piece, not joined from parts (see `flat`). */
  readonly body: string;
  /** Characters and UTF-8 bytes of the body up to its blocks: `{"user_id":"…","domain":"idfa","seg_block":[`. */
  readonly headChars: number;
  readonly headBytes: number;
  readonly blocks: readonly Block[];
  /** Whether any block is a removal (expiration -1). */
  readonly removes: boolean;
  /** Epoch ms of the event; null: the time at which the entry is appended to the queue. */
  readonly eventTimeMs: number | null;
  /** Whether expirations count from the event time and so become shorter; false sends them unchanged. */
  readonly ages: boolean;
  /** Only renews a membership: it is superseded by any older entry of its user that is pending. */
  readonly refresh?: boolean;
}
