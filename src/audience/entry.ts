// An audience entry: as flows and the service spell it, and as the engine keeps it once checked.

/** One `seg_block` of the service's own form (service.md 3.1). Optional keys are left out, never null. */
export interface SegBlock {
  seg_id?: number;
  seg_code?: string;
  /** The owner; beside `seg_id` it says nothing more and is not sent. */
  member_id?: number;
  /** -2147483648 … 2147483647. */
  value?: number;
  /** Minutes; 0 never expires, -1 removes, absent is the member's default. */
  expiration?: number;
}

/** One user and the segments it joins or leaves, in the service's own form. */
export interface Entry {
  user_id: string;
  /** The kind of id; absent and null are the platform's own or a mapped id. */
  domain?: string | null;
  seg_block: SegBlock[];
  /** When it happened: epoch ms or ISO 8601. Never sent. */
  event_time?: number | string;
  /** Says that a `domain` outside the service's list is meant. Never sent. */
  custom_domain?: boolean;
}

/** Blocks by id and blocks by code may name the same segment, so the two kinds never share a request. */
export type BlockKind = 'id' | 'code';

/** A checked block, serialised once; its expiration is a slot, since it ages while it waits. */
export interface Block {
  /** By which two blocks of one user meet: `i10001`, `c1661:abcd` (codes compare without case). */
  readonly key: string;
  readonly kind: BlockKind;
  /** JSON up to the expiration slot, such as `{"seg_id":10001,"value":1`. The slot and `}` follow. */
  readonly head: string;
  /** UTF-8 bytes of `head`. */
  readonly headBytes: number;
  /** Minutes as given; null leaves the key out. */
  readonly expiration: number | null;
  /** The whole block as JSON with the expiration as given: most are sent before it changes. */
  readonly text: string;
}

/** An entry that passed every check, ready to be queued, merged and packed. */
export interface CheckedEntry {
  /** By which two entries of one user meet (domain and id, case folded where the id's kind ignores case). */
  readonly userKey: string;
  /**
   * What tells two spellings of one `userKey` apart: '' for device ids, else the id as given. Blocks merge
   * only within one spelling; different spellings go in separate requests, in order.
   */
  readonly spelling: string;
  /** JSON up to the blocks: `{"user_id":"…","domain":"idfa","seg_block":[`. `]}` follows the blocks. */
  readonly userHead: string;
  /** UTF-8 bytes of `userHead`. */
  readonly userHeadBytes: number;
  readonly blocks: readonly Block[];
  /** Whether any block is a removal (expiration -1). */
  readonly removes: boolean;
  /** Epoch ms of the event, or null for "when it was taken". */
  readonly eventTimeMs: number | null;
  /** Whether the expirations of its adds become shorter from the event on; else they are sent as they came. */
  readonly ages: boolean;
}
