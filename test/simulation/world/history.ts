// History of a run for the checks: messages, requests, logins, and a log of events.
import { userOfMember } from '../../../src/entry/member-key';
import type { MemberChange } from '../../../src/queue/sync-store';
import type { AudienceRow, Block, Entry } from './plan';

/** End of a message, in the terms of the node's messages. */
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
  /** Name of its queue: the messages of one queue have one order. */
  readonly queue: string;
  /** Number of times that its instance had opened that queue: a queue in memory may be another each time. */
  readonly term: number;
  readonly durable: boolean;
  /** When it was submitted to the engine, by the world's time. */
  readonly atMs: number;
  readonly entries: readonly Entry[];
  end: RecordedEnd | null;
  endMs: number;
  /** Its process died before it reported anything. */
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
  /** Whether its queue outlives the process. */
  readonly durable: boolean;
  readonly term: string;
  readonly sentMs: number;
  readonly fate: string;
  readonly bytes: number;
  readonly users: readonly SentUser[];
  /** When the service acted on it, perhaps more than once. */
  readonly actedMs: number[];
  /** When the service had finished it; Infinity while it has not. */
  doneMs: number;
  applied: boolean;
  /** Users without a valid segment, according to its reply. */
  readonly invalid: SentUser[];
  /** When the process received its outcome. */
  settledMs: number;
  /** A definite answer, whose content is true. */
  answer: string | null;
  /** How long the service asked to wait, in ms; 0 if it did not. */
  retryAfterMs: number;
  /** Whether the database counted its process as lease holder when it was sent; null without a lease. */
  readonly leaseOk: boolean | null;
  /** How long the process had slept with calls in progress when it was sent. */
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
  /** Name of its queue: the login time is recorded beside it. */
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
  /** Null: every user. */
  readonly user: string | null;
  readonly askedMs: number;
  /** Infinity: not yet, or it failed and may still be carried out. */
  doneMs: number;
}

/** A node asked for warm-ups of these segments. */
export interface HoldRecord {
  readonly member: number;
  readonly node: string;
  readonly life: number;
  readonly segments: readonly number[];
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A dry run's result. */
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

/** A whole audience that the source handed in. */
export interface RunRecord {
  readonly rows: readonly AudienceRow[];
  readonly atMs: number;
  /** `open`: nothing was reported of it; `failed`: its rows were not taken. */
  status: 'open' | 'failed' | 'ended' | 'replaced' | 'preview' | 'refused';
  /** All its rows were taken, so that a later process carries it out. */
  taken: boolean;
  endMs: number;
  /** The members of the synced segment when it ended, by their keys. */
  members: ReadonlyMap<string, MemberChange> | null;
}

/** A change of a member that a commit has made durable. */
export interface CommittedMember {
  readonly atMs: number;
  readonly change: MemberChange;
}

/** A user was erased while the user was in the synced segment, or a suppression was lifted. */
export interface SuppressionRecord {
  readonly user: string;
  readonly domain: string | null;
  readonly askedMs: number;
  /** Infinity: not yet, or it failed. */
  doneMs: number;
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
  readonly runs: RunRecord[] = [];
  readonly committedMembers: CommittedMember[] = [];
  readonly suppressed: SuppressionRecord[] = [];
  readonly lifted: SuppressionRecord[] = [];
  /** Violations found during the run. */
  readonly complaints: string[] = [];
  readonly faults = new Map<string, number>();
  /** Largest values of the run. */
  readonly worst = new Map<string, number>();

  constructor(private readonly nowMs: () => number) {}

  /** A commit has changed members of the synced segment. */
  changed(changes: readonly MemberChange[]): void {
    const atMs = this.nowMs();
    for (const change of changes) this.committedMembers.push({ atMs, change });
  }

  /** A shared queue has suppressed the users with these member keys. */
  suppresses(memberKeys: readonly string[]): void {
    const atMs = this.nowMs();
    for (const memberKey of memberKeys) {
      const { domain, id: user } = userOfMember(memberKey);
      this.suppressed.push({ user, domain, askedMs: atMs, doneMs: atMs });
    }
  }

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
