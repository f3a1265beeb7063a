// Response handler: what an outcome of a request means for its users (promise 9 and service.md 3.4).

import type { EntryVerdict, PostOutcome, RequestCounts, TokenOutcome } from '../../service/reply/outcome';
import { uncounted, verdicts, type SentEntry } from '../../service/reply/verdicts';
import { backoffMs } from '../schedule/backoff';
import type { Clock } from '../../clock';
import type { PendingUsers } from '../pending/pending-users';
import type { Scheduler } from '../schedule/scheduler';
import type { CircuitBreaker } from '../schedule/circuit-breaker';
import type { CommitBuffer } from '../commit-buffer';
import type { Logins } from '../schedule/login';
import type { PackedUser } from '../schedule/batch-builder';
import type { Post, Settled } from '../schedule/post';
import type { SentCounts, SentCountStore } from '../monitor/sent-counts';
import type { AmbiguousRequests } from '../pending/ambiguous';
import type { PendingBlock, PendingEntry } from '../pending/pending-entry';
import { mostWarnings } from '../pending-messages';
import type { MemberChanges } from '../sync/member-changes';
import type { Unaccounted } from './unaccounted';
import type { Trouble, User } from '../pending/user';

/** Interval of tries while a setting prevents delivery. */
const configurationRetryMs = 60_000;

/** Accepted without a warning. */
const plainlyAccepted: EntryVerdict = { kind: 'accepted', warnings: [] };

type Accepted = Extract<PostOutcome, { kind: 'accepted' }>;

export interface OutcomesParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly lateMarginMs: number;
  readonly pendingUsers: PendingUsers;
  readonly scheduler: Scheduler;
  readonly circuitBreaker: CircuitBreaker;
  readonly logins: Logins;
  readonly commitBuffer: CommitBuffer;
  readonly log: (level: 'warn' | 'error', text: string) => void;
  readonly sent: SentCountStore;
  readonly unaccounted: Unaccounted;
  readonly members: MemberChanges;
}

export class Outcomes {
  /** The block that was accepted last. */
  private canary: PendingBlock | null = null;
  /** Users accepted by whole second, for the status. */
  private rate = { second: 0, users: 0, before: 0 };
  /** Ambiguous requests in the order in which they ended, and until when each may run (monotonic ms). */
  private ambiguous: { readonly post: number; readonly untilMs: number }[] = [];

  constructor(private readonly parts: OutcomesParts) {}

  /** Handles the outcome of a request, which arrived at `atMs` (monotonic). */
  settle(post: Post, outcome: Settled, atMs: number): void {
    this.freeQuota(post, outcome, atMs);
    const outageEnded = this.parts.circuitBreaker.settled(
      post.sentMs,
      outcome.kind === 'retriable' || outcome.kind === 'notSent',
    );
    for (const { user } of post.users) user.flight = null;
    if (outcome.kind === 'accepted') this.accepted(post, outcome, atMs);
    else this.notAccepted(post, outcome, atMs);
    for (const { user } of post.users) {
      user.clearAmbiguous(atMs);
      this.parts.pendingUsers.update(user, atMs);
    }
    // The service is back, so no user needs to wait for it.
    if (outageEnded) this.parts.pendingUsers.endWaits(atMs);
  }

  /** Handles the result of a token request. */
  tokenReceived(account: string, outcome: TokenOutcome): void {
    switch (outcome.kind) {
      case 'token':
        this.parts.logins.setState(account, { kind: 'ready' });
        this.parts.pendingUsers.readiness.requeueHeld(this.parts.clock.monoMs());
        break;
      case 'wait':
        this.loginWaits(account, outcome.retryAfterMs, outcome);
        break;
      case 'loginRefused':
        this.loginRefused(account, outcome);
        break;
    }
  }

  /** Users accepted since the start. */
  usersAccepted = 0;

  /** A user was erased and must not be sent again as the canary. */
  forgetCanary(userKeys: readonly string[]): void {
    if (this.canary !== null && userKeys.includes(this.canary.entry.checked.userKey)) this.canary = null;
  }

  /** Users accepted in the last whole second. */
  usersPerSecond(nowMs: number): number {
    const behind = Math.floor(nowMs / 1000) - this.rate.second;
    return behind === 0 ? this.rate.before : behind === 1 ? this.rate.users : 0;
  }

  private freeQuota(post: Post, outcome: Settled, atMs: number): void {
    const ambiguous = outcome.kind === 'retriable' && outcome.ambiguous;
    if (ambiguous) {
      this.parts.commitBuffer.unknown(post.number, this.parts.clock.wallMs() + this.parts.lateMarginMs);
      this.ambiguous.push({ post: post.number, untilMs: atMs + this.parts.lateMarginMs });
      this.countAmbiguous(post);
    } else this.parts.commitBuffer.settle(post.number);
    const floorMs = this.parts.logins.get(post.account)?.networkFloorMs() ?? 0;
    for (const [rateLimiter, permit] of [
      [this.parts.scheduler.rateLimiter, post.permit] as const,
      [this.parts.scheduler.bisection.quota, post.search?.permit ?? null] as const,
    ]) {
      if (permit === null) continue;
      if (outcome.kind === 'notSent') rateLimiter.cancel(permit);
      else if (ambiguous) rateLimiter.settleAmbiguous(permit, atMs);
      else rateLimiter.settle(permit, atMs, floorMs);
    }
  }

  /** Monotonic ms at which an ambiguous request can no longer run; Infinity without any. */
  get ambiguousUntilMs(): number {
    return this.ambiguous[0]?.untilMs ?? Infinity;
  }

  /** Settles the records of ambiguous requests that can no longer run. */
  endAmbiguous(nowMs: number): void {
    while (this.ambiguousUntilMs <= nowMs) this.parts.commitBuffer.settle(this.ambiguous.shift()!.post);
  }

  /** The machine slept for `forMs`: every ambiguous request may run that much longer. */
  slept(forMs: number): void {
    this.ambiguous = this.ambiguous.map(({ post, untilMs }) => ({ post, untilMs: untilMs + forMs }));
  }

  // ── Accepted ────────────────────────────────────────────────────────────────────────────────────────────────

  private accepted(post: Post, { warnings, counts }: Accepted, nowMs: number): void {
    this.parts.circuitBreaker.accepted(post.sentMs);
    this.countRate(post.users.length, nowMs);
    const sent = this.parts.sent.of(post.account, post.sentMs);
    const found = warnings.length === 0 ? null : verdicts(sentEntries(post.body), warnings);
    const remark = this.warningOf(post, counts, found, nowMs);
    for (let index = 0; index < post.users.length; index += 1) {
      const verdict = found?.[index] ?? plainlyAccepted;
      this.acceptedUser(post.users[index]!, verdict, remark, post.sentMs, sent);
    }
    if (post.search !== null)
      for (const { user } of post.users) if (user.inBisection) this.searchOn(user, nowMs);
  }

  /** Returns the remark for messages of a request that the service did not count completely, or null. */
  private warningOf(
    post: Post,
    counts: RequestCounts,
    found: readonly EntryVerdict[] | null,
    nowMs: number,
  ): string | null {
    const perUser = post.users.map(({ blocks }) => blocks.length);
    const missing = uncounted(counts, perUser, found);
    const sent = { users: perUser.length, segments: perUser.reduce((sum, some) => sum + some, 0) };
    return this.parts.unaccounted.note(missing, sent, nowMs, this.parts.log);
  }

  private acceptedUser(
    packed: PackedUser,
    verdict: EntryVerdict,
    remark: string | null,
    sentMs: number,
    sent: SentCounts,
  ): void {
    if (verdict.kind === 'again') {
      waitAgain(packed);
      return;
    }
    const { user, blocks } = packed;
    if (verdict.kind !== 'rejected') sent.users += 1;
    if (user.trouble !== null) this.recovers(user.trouble);
    const given = verdict.kind === 'accepted' ? verdict.warnings : [];
    const warnings = remark === null ? given : [...given, remark];
    const { ambiguous } = user;
    // They end with their blocks.
    const replaced = ambiguous === null ? [] : blocks.map(({ absorbed }) => absorbed ?? []);
    for (let place = 0; place < blocks.length; place += 1) {
      const block = blocks[place]!;
      const refusal =
        verdict.kind === 'rejected'
          ? verdict
          : verdict.kind === 'partly'
            ? verdict.blocks.get(place)
            : undefined;
      if (refusal !== undefined) {
        this.parts.pendingUsers.reject(block, refusal.code, refusal.message);
        continue;
      }
      countBlock(sent, block);
      this.acceptedBlock(block, sentMs, warnings);
    }
    if (ambiguous !== null)
      blocks.forEach((block, place) => markDue(block, replaced[place]!, ambiguous, sentMs));
  }

  /** A request of the user was accepted. */
  private recovers(trouble: Trouble): void {
    const { blockLimit } = trouble;
    const { blocksPerUser } = this.parts.scheduler.request;
    trouble.failures = 0;
    if (blockLimit !== null) trouble.blockLimit = blockLimit >= blocksPerUser / 2 ? null : blockLimit * 2;
  }

  private acceptedBlock(block: PendingBlock, sentMs: number, warnings: readonly string[]): void {
    if (warnings.length > 0) noteWarnings(block.entry, warnings);
    this.parts.members.accepted(block, sentMs);
    this.parts.pendingUsers.end(block, block.sentExpired ? 'expired' : 'accepted', null);
    this.canary = block;
  }

  /** The service may have counted the request, and counts it again when it is sent again. */
  private countAmbiguous(post: Post): void {
    const sent = this.parts.sent.of(post.account, post.sentMs);
    sent.ambiguousUsers += post.users.length;
    for (const { blocks } of post.users) sent.ambiguousBlocks += blocks.length;
  }

  private countRate(users: number, nowMs: number): void {
    this.usersAccepted += users;
    const second = Math.floor(nowMs / 1000);
    const { rate } = this;
    if (rate.second !== second)
      this.rate = { second, users, before: rate.second === second - 1 ? rate.users : 0 };
    else rate.users += users;
  }

  // ── Not accepted ────────────────────────────────────────────────────────────────────────────────────────────

  private notAccepted(post: Post, outcome: Exclude<Settled, { kind: 'accepted' }>, nowMs: number): void {
    if (outcome.kind === 'bodyRefused') recordRefused(post, nowMs);
    for (const packed of post.users) waitAgain(packed);
    switch (outcome.kind) {
      case 'bodyRefused':
        this.bodyRefused(post, outcome, nowMs);
        return;
      case 'rateLimited':
        // Already handled when the reply arrived.
        break;
      case 'retriable':
        this.failed(post, outcome, nowMs);
        break;
      case 'configuration':
        this.loginWaits(post.account, configurationRetryMs * (0.5 + this.parts.random() / 2), outcome);
        break;
      case 'loginRefused':
        this.loginRefused(post.account, outcome);
        break;
      case 'deadToken':
        this.parts.logins.setState(post.account, { kind: 'unknown' });
        break;
      case 'notSent':
        this.tokenReceived(post.account, outcome.token);
        break;
    }
    this.parts.scheduler.searchAgain(post, nowMs);
  }

  private loginWaits(
    account: string,
    waitMs: number,
    { code, message }: { code: string; message: string },
  ): void {
    this.parts.logins.setState(account, {
      kind: 'wait',
      untilMs: this.parts.clock.monoMs() + waitMs,
      code,
      message,
    });
  }

  private loginRefused(
    account: string,
    { code, message }: Extract<PostOutcome, { kind: 'loginRefused' }>,
  ): void {
    this.parts.logins.setState(account, { kind: 'refused', code, message });
    this.parts.log('error', message);
  }

  private failed(post: Post, outcome: Extract<PostOutcome, { kind: 'retriable' }>, nowMs: number): void {
    this.parts.circuitBreaker.failed(outcome, post.sentMs, nowMs);
    for (const { user, blocks } of post.users) {
      const trouble = user.troubled();
      trouble.failures += 1;
      trouble.notBeforeMs = nowMs + backoffMs(trouble.failures, this.parts.random);
      if (outcome.ambiguous)
        this.parts.pendingUsers.addAmbiguous(user, blocks, nowMs + this.parts.lateMarginMs);
    }
  }

  // ── Refused bodies ──────────────────────────────────────────────────────────────────────────────────────────

  private bodyRefused(post: Post, outcome: { code: string; message: string }, nowMs: number): void {
    // A part of a refused batch is likely to be refused, too. That says nothing about other users.
    const isPart = post.search !== null && !post.search.group.probe;
    this.parts.circuitBreaker.refused(outcome.message, isPart);
    if (post.users.length > 1) this.parts.scheduler.bisection.split(post.users.map(({ user }) => user));
    else this.searchUser(post.users[0]!, outcome, nowMs);
  }

  /**
   * A body of one user alone was refused: tries fewer of its blocks, or rejects or probes the single block that
   * is left.
   */
  private searchUser(
    { user, blocks }: PackedUser,
    outcome: { code: string; message: string },
    nowMs: number,
  ): void {
    const only = blocks[0]!;
    const trouble = user.troubled();
    if (blocks.length > 1) {
      trouble.blockLimit = Math.ceil(blocks.length / 2);
      this.parts.scheduler.bisection.push({ users: [user], probe: false });
    } else if (this.parts.circuitBreaker.acceptedSentMs >= (only.refusedAtMs ?? Infinity)) {
      trouble.blockLimit = 1;
      trouble.failures = 0;
      this.parts.pendingUsers.reject(only, outcome.code, outcome.message);
      this.searchOn(user, nowMs);
    } else {
      trouble.blockLimit = 1;
      trouble.failures += 1;
      const delayMs = 250 + backoffMs(trouble.failures, this.parts.random, 500, 60_000);
      this.parts.scheduler.bisection.probeAt(nowMs + delayMs, user);
      this.sendCanary(nowMs);
    }
  }

  /**
   * Sends the canary. Only another accepted request shows whether a lone refused entry or the whole service is
   * at fault. On an idle account there is none, so the last delivered entry is sent again: it is still the
   * newest state of its user, unless a newer entry of that user was queued.
   */
  private sendCanary(nowMs: number): void {
    if (this.canary !== null && !this.parts.pendingUsers.readiness.someReady)
      this.parts.pendingUsers.resend(this.canary, nowMs);
  }

  /**
   * A user in a bisection stays in it while some of its blocks were not tried, and then returns to the ready
   * queue.
   */
  private searchOn(user: User, nowMs: number): void {
    if ((user.trouble?.blockLimit ?? null) !== null && user.waits)
      this.parts.scheduler.bisection.push({ users: [user], probe: false });
    else this.parts.scheduler.leaveSearch(user, nowMs);
  }
}

/**
 * An ambiguous request may run after the one that sent this block: then the block is sent again. The older blocks that ended
 * with it are not, unless its entry is open: if the rest of that is deleted, they count on their own.
 */
function markDue(
  block: PendingBlock,
  replaced: readonly PendingBlock[],
  ambiguous: AmbiguousRequests,
  sentMs: number,
): void {
  if (block.rejected) return;
  if (ambiguous.mayUndo(block, sentMs)) block.due = true;
  if (block.entry.open === 0) return;
  for (const older of replaced) if (ambiguous.mayUndo(older, sentMs)) older.due = true;
}

/** Counts a block as it was sent: also a resend, and an expired add as a removal. */
function countBlock(sent: SentCounts, { segBlock, sentExpired }: PendingBlock): void {
  sent.block(segBlock.key, sentExpired || segBlock.expiration === -1);
}

function noteWarnings(entry: PendingEntry, warnings: readonly string[]): void {
  entry.warnings = [...new Set([...(entry.warnings ?? []), ...warnings])].slice(0, mostWarnings);
}

/** Call before the blocks wait again, since their list depends on it. */
function recordRefused({ users }: Post, nowMs: number): void {
  for (const { blocks } of users) {
    for (const block of blocks) block.refusedAtMs ??= nowMs;
  }
}

function waitAgain({ blocks }: PackedUser): void {
  for (const block of blocks) if (block.state === 'inFlight') block.state = 'waiting';
}

function sentEntries(body: string): SentEntry[] {
  return (JSON.parse(body) as { rt_segment: SentEntry[] }).rt_segment;
}
