// What happened in a run, as the checks read it: messages, requests, logins, and a log of events in words.
import type { Block, Entry } from './plan';

/** How a message's entries ended, in the words of the node's messages. */
export type RecordedEnd =
  | {
      readonly kind: 'settled';
      readonly accepted: number;
      readonly superseded: number;
      readonly expired: number;
      readonly rejected: readonly { readonly index: number; readonly code: string }[];
    }
  | { readonly kind: 'queued'; readonly reason: string }
  | { readonly kind: 'parked' }
  | { readonly kind: 'failed'; readonly code: string };

export interface MessageRecord {
  readonly number: number;
  readonly instance: number;
  readonly life: number;
  readonly node: string;
  readonly account: string;
  readonly member: number;
  /** Which queue it was handed to: those of one queue are in one order. */
  readonly queue: string;
  /** How often that queue had been taken into use by its instance: one in memory may be another each time. */
  readonly term: number;
  readonly durable: boolean;
  /** When it was handed to the engine, by the world's time. */
  readonly atMs: number;
  readonly entries: readonly Entry[];
  end: RecordedEnd | null;
  endMs: number;
  /** Its process died before it said anything. */
  orphaned: boolean;
  /** Indexes of entries that were purged or erased while they may have been pending. */
  readonly discarded: Map<number, number>;
}

/** An entry that ended without its message. */
export interface LateOutcome {
  readonly instance: number;
  readonly life: number;
  readonly node: string;
  readonly value: number;
  readonly end: string;
  readonly code: string | null;
  readonly atMs: number;
}

/** One request as the service and the network saw it. */
export interface RequestRecord {
  readonly number: number;
  readonly member: number;
  readonly instance: number;
  readonly life: number;
  /** Of a queue that outlives the process. */
  readonly durable: boolean;
  readonly term: string;
  readonly sentMs: number;
  readonly fate: string;
  readonly bytes: number;
  readonly users: readonly SentUser[];
  /** When the service acted on it, perhaps more than once. */
  readonly actedMs: number[];
  /** When the service had no more to do with it; Infinity while it has. */
  doneMs: number;
  applied: boolean;
  /** Users none of whose segments is valid, as its reply says. */
  readonly invalid: SentUser[];
  /** When the process knew of an outcome. */
  settledMs: number;
  /** A definite answer: what it says is so. */
  answer: string | null;
  /** Epoch seconds are not needed: how long the service asked to wait, ms; 0 when it did not. */
  retryAfterMs: number;
  /** Whose lease the database knew when it was sent; null where there is none. */
  readonly leaseOk: boolean | null;
  /** The process had been asleep with something under way when it left. */
  readonly sleptMs: number;
}

export interface SentUser {
  readonly user: string;
  readonly domain: string | null;
  readonly blocks: readonly Block[];
}

export interface LoginRecord {
  readonly username: string;
  readonly atMs: number;
  readonly instance: number;
  readonly life: number;
  /** For a queue that outlives the process. */
  readonly durable: boolean;
  /** Which queue it was for: beside it, the time is written down. */
  readonly queue: string;
}

/** A process was killed. */
export interface DeathRecord {
  readonly instance: number;
  readonly life: number;
  readonly atMs: number;
}

export interface DiscardRecord {
  readonly member: number;
  /** Null: everybody. */
  readonly user: string | null;
  readonly askedMs: number;
  /** Infinity: not yet, or it failed, and may still be carried out. */
  doneMs: number;
}

/** A node asked for adds to these segments to wait. */
export interface HoldRecord {
  readonly member: number;
  readonly node: string;
  readonly life: number;
  readonly segments: readonly number[];
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What a node showed that it would send. */
export interface DryRunRecord {
  readonly member: number;
  readonly entries: readonly Entry[];
  readonly bodies: readonly {
    readonly rt_segment: readonly {
      readonly user_id: string;
      readonly domain?: string;
      readonly seg_block: readonly Block[];
    }[];
  }[];
}

export interface OrderRecord {
  readonly instance: number;
  readonly life: number;
  readonly member: number;
  readonly asks: string;
  readonly atMs: number;
}

export class History {
  readonly log: string[] = [];
  readonly messages: MessageRecord[] = [];
  readonly late: LateOutcome[] = [];
  readonly requests: RequestRecord[] = [];
  readonly logins: LoginRecord[] = [];
  readonly deaths: DeathRecord[] = [];
  readonly discards: DiscardRecord[] = [];
  readonly orders: OrderRecord[] = [];
  readonly holds: HoldRecord[] = [];
  readonly dryRuns: DryRunRecord[] = [];
  /** Found while it happened. */
  readonly complaints: string[] = [];
  readonly faults = new Map<string, number>();
  /** Largest values seen. */
  readonly worst = new Map<string, number>();

  constructor(private readonly nowMs: () => number) {}

  tell(text: string): void {
    this.log.push(`${(this.nowMs() / 1000).toFixed(3)} ${text}`);
  }

  complain(text: string): void {
    this.complaints.push(`at ${(this.nowMs() / 1000).toFixed(3)} s: ${text}`);
  }

  fault(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  reached(what: string, value: number): void {
    if (value > (this.worst.get(what) ?? -Infinity)) this.worst.set(what, value);
  }
}
