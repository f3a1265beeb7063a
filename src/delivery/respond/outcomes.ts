// What the service's answer means for the users of a post (promise 9, and service.md 3.4).

import type { EntryVerdict, PostOutcome, RequestCounts, TokenOutcome } from '../../service/reply/outcome';
import { uncounted } from '../../service/reply/unaccounted';
import { verdicts, type SentEntry } from '../../service/reply/verdicts';
import { backoffMs } from '../schedule/backoff';
import type { Clock } from '../../clock';
import type { PendingUsers } from '../pending/pending-users';
import type { Scheduler } from '../schedule/scheduler';
import type { CircuitBreaker } from '../schedule/circuit-breaker';
import type { CommitBuffer } from '../commit-buffer';
import type { Logins } from '../schedule/login';
import type { PackedUser } from '../schedule/batch-builder';
import type { Post, Settled } from '../schedule/post';
import type { SentCounts, SentLedger } from '../monitor/sent-counts';
import type { Cell, Item } from '../pending/item';
import { mostWarnings } from '../pending-messages';
import type { Unaccounted } from './unaccounted';
import type { User } from '../pending/user';

/** Settings that stand in the way are tried again slowly. */
const configurationRetryMs = 60_000;

/** Without a warning. */
const plainlyAccepted: EntryVerdict = { kind: 'accepted', warnings: [] };

type Accepted = Extract<PostOutcome, { kind: 'accepted' }>;

export class Outcomes {
  /** The block that was accepted last. */
  private canary: Cell | null = null;
  /** Users accepted, by whole second, for a status. */
  private rate = { second: 0, users: 0, before: 0 };

  constructor(
    private readonly clock: Clock,
    private readonly random: () => number,
    private readonly lateMarginMs: number,
    private readonly pendingUsers: PendingUsers,
    private readonly scheduler: Scheduler,
    private readonly circuitBreaker: CircuitBreaker,
    private readonly logins: Logins,
    private readonly commitBuffer: CommitBuffer,
    private readonly log: (level: 'warn' | 'error', text: string) => void,
    private readonly sent: SentLedger,
    private readonly unaccounted: Unaccounted,
  ) {}

  /** A post settled at `atMs`. */
  settle(post: Post, outcome: Settled, atMs: number): void {
    this.freeQuota(post, outcome, atMs);
    const outageEnded = this.circuitBreaker.settled(
      post.sentMs,
      outcome.kind === 'passing' || outcome.kind === 'notSent',
    );
    for (const { user } of post.users) user.flight = null;
    if (outcome.kind === 'accepted') this.accepted(post, outcome, atMs);
    else this.notAccepted(post, outcome, atMs);
    for (const { user } of post.users) {
      if (user.suspectsOver(atMs)) user.clearSuspects(atMs);
      this.pendingUsers.settle(user, atMs);
    }
    // Nobody needs to wait for a service that is back.
    if (outageEnded) this.pendingUsers.endWaits(atMs);
  }

  /** A token was asked for. */
  tokenCame(account: string, outcome: TokenOutcome): void {
    switch (outcome.kind) {
      case 'token':
        this.logins.setState(account, { kind: 'ready' });
        this.pendingUsers.requeueHeld(this.clock.monoMs());
        break;
      case 'wait':
        this.loginWaits(account, outcome.retryAfterMs, outcome);
        break;
      case 'loginRefused':
        this.loginRefused(account, outcome);
        break;
    }
  }

  /** Users that were accepted so far. */
  usersAccepted = 0;

  /** A user is erased: it is not sent once more either. */
  forgetCanary(userKeys: readonly string[]): void {
    if (this.canary !== null && userKeys.includes(this.canary.item.entry.userKey)) this.canary = null;
  }

  /** Users accepted in the last whole second. */
  usersPerSecond(nowMs: number): number {
    const behind = Math.floor(nowMs / 1000) - this.rate.second;
    return behind === 0 ? this.rate.before : behind === 1 ? this.rate.users : 0;
  }

  private freeQuota(post: Post, outcome: Settled, atMs: number): void {
    const lost = outcome.kind === 'passing' && outcome.ambiguous;
    if (lost) {
      this.commitBuffer.lose(post.number, this.clock.wallMs() + this.lateMarginMs);
      this.countLost(post);
    } else this.commitBuffer.arrive(post.number);
    const floorMs = this.logins.get(post.account)?.networkFloorMs() ?? 0;
    for (const [rateLimiter, grant] of [
      [this.scheduler.rateLimiter, post.grant] as const,
      [this.scheduler.bisection.quota, post.search?.grant ?? null] as const,
    ]) {
      if (grant === null) continue;
      if (outcome.kind === 'notSent') rateLimiter.cancel(grant);
      else if (lost) rateLimiter.lose(grant, atMs);
      else rateLimiter.settle(grant, atMs, floorMs);
    }
  }

  // ── Accepted ────────────────────────────────────────────────────────────────────────────────────────────────

  private accepted(post: Post, { warnings, counts }: Accepted, nowMs: number): void {
    this.circuitBreaker.accepted(post.sentMs);
    this.countRate(post.users.length, nowMs);
    const sent = this.sent.of(post.account, post.sentMs);
    const told = warnings.length === 0 ? null : verdicts(sentEntries(post.body), warnings);
    const remark = this.remarkOf(post, counts, told, nowMs);
    for (let index = 0; index < post.users.length; index += 1) {
      const verdict = told?.[index] ?? plainlyAccepted;
      this.acceptedUser(post.users[index]!, verdict, remark, post.sentMs, sent);
    }
    for (const { user } of post.users) if (user.isolated) this.searchOn(user, nowMs);
  }

  /** For the messages of a post that the service did not count in full. */
  private remarkOf(
    post: Post,
    counts: RequestCounts,
    told: readonly EntryVerdict[] | null,
    nowMs: number,
  ): string | null {
    const blocks = post.users.map(({ cells }) => cells.length);
    const missing = uncounted(counts, blocks, told);
    const sent = { users: blocks.length, segments: blocks.reduce((sum, some) => sum + some, 0) };
    return this.unaccounted.note(missing, sent, nowMs, this.log);
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
    const { user, cells } = packed;
    if (verdict.kind !== 'rejected') sent.users += 1;
    user.failures = 0;
    const told = verdict.kind === 'accepted' ? verdict.warnings : [];
    const warnings = remark === null ? told : [...told, remark];
    const { blocksPerUser } = this.scheduler.request;
    user.blockLimit = user.blockLimit >= blocksPerUser / 2 ? Infinity : user.blockLimit * 2;
    for (let place = 0; place < cells.length; place += 1) {
      const cell = cells[place]!;
      const refusal =
        verdict.kind === 'rejected'
          ? verdict
          : verdict.kind === 'partly'
            ? verdict.blocks.get(place)
            : undefined;
      if (refusal !== undefined) {
        this.pendingUsers.reject(cell, refusal.code, refusal.message);
        continue;
      }
      countBlock(sent, cell);
      this.acceptedCell(user, cell, sentMs, warnings);
    }
  }

  private acceptedCell(user: User, cell: Cell, sentMs: number, warnings: readonly string[]): void {
    if (warnings.length > 0) noteWarnings(cell.item, warnings);
    // A lost request may still run after this one: then it is sent once more.
    if (user.mayBeUndone(cell, sentMs)) cell.due = true;
    // Those that share its end, too: should it be given up for the rest of its entry, they count in its place.
    for (const older of cell.absorbed ?? []) if (user.mayBeUndone(older, sentMs)) older.due = true;
    this.pendingUsers.end(cell, cell.sentExpired ? 'expired' : 'accepted', null);
    this.canary = cell;
  }

  /** The service may have counted it, and will count it again when it is sent again. */
  private countLost(post: Post): void {
    const sent = this.sent.of(post.account, post.sentMs);
    sent.lostUsers += post.users.length;
    for (const { cells } of post.users) sent.lostBlocks += cells.length;
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
    if (outcome.kind === 'bodyRefused') noteRefused(post, nowMs);
    for (const packed of post.users) waitAgain(packed);
    switch (outcome.kind) {
      case 'bodyRefused':
        this.bodyRefused(post, outcome, nowMs);
        return;
      case 'rateLimited':
        // Noted when the reply came.
        break;
      case 'passing':
        this.failed(post, outcome, nowMs);
        break;
      case 'configuration':
        this.loginWaits(post.account, configurationRetryMs * (0.5 + this.random() / 2), outcome);
        break;
      case 'loginRefused':
        this.loginRefused(post.account, outcome);
        break;
      case 'deadToken':
        this.logins.setState(post.account, { kind: 'unknown' });
        break;
      case 'notSent':
        this.tokenCame(post.account, outcome.token);
        break;
    }
    this.scheduler.searchAgain(post, nowMs);
  }

  private loginWaits(
    account: string,
    waitMs: number,
    { code, message }: { code: string; message: string },
  ): void {
    this.logins.setState(account, { kind: 'wait', untilMs: this.clock.monoMs() + waitMs, code, message });
  }

  private loginRefused(
    account: string,
    { code, message }: Extract<PostOutcome, { kind: 'loginRefused' }>,
  ): void {
    this.logins.setState(account, { kind: 'refused', code, message });
    this.log('error', message);
  }

  private failed(post: Post, outcome: Extract<PostOutcome, { kind: 'passing' }>, nowMs: number): void {
    this.circuitBreaker.failed(outcome, post.sentMs, nowMs);
    for (const { user, cells } of post.users) {
      user.failures += 1;
      user.notBeforeMs = nowMs + backoffMs(user.failures, this.random);
      if (outcome.ambiguous) this.pendingUsers.suspect(user, cells, nowMs + this.lateMarginMs);
    }
  }

  // ── Refused bodies ──────────────────────────────────────────────────────────────────────────────────────────

  private bodyRefused(post: Post, outcome: { code: string; message: string }, nowMs: number): void {
    this.circuitBreaker.refused(outcome.message);
    if (post.users.length > 1) this.scheduler.bisection.split(post.users.map(({ user }) => user));
    else this.searchUser(post.users[0]!, outcome, nowMs);
  }

  /** One user alone was refused: fewer of its blocks, or the one block that is left. */
  private searchUser(
    { user, cells }: PackedUser,
    outcome: { code: string; message: string },
    nowMs: number,
  ): void {
    const only = cells[0]!;
    if (cells.length > 1) {
      user.blockLimit = Math.ceil(cells.length / 2);
      this.scheduler.bisection.push({ users: [user], probe: false });
    } else if (this.circuitBreaker.acceptedSentMs >= only.refusedAtMs) {
      user.blockLimit = 1;
      user.failures = 0;
      this.pendingUsers.reject(only, outcome.code, outcome.message);
      this.searchOn(user, nowMs);
    } else {
      user.blockLimit = 1;
      user.failures += 1;
      const delayMs = 250 + backoffMs(user.failures, this.random, 500, 60_000);
      this.scheduler.bisection.probeAt(nowMs + delayMs, user);
      this.callCanary(nowMs);
    }
  }

  /**
   * Whether a lone refused entry or the whole service is at fault shows only when something else is accepted. On
   * an idle account nothing else comes, so what was accepted last is sent once more: it is still that user's last
   * word, as long as nothing of that user has come since.
   */
  private callCanary(nowMs: number): void {
    if (this.canary !== null && !this.pendingUsers.someReady) this.pendingUsers.resend(this.canary, nowMs);
  }

  /** A user under search goes on alone while some of its blocks have not been tried, else joins the others. */
  private searchOn(user: User, nowMs: number): void {
    if (user.blockLimit !== Infinity && user.waits)
      this.scheduler.bisection.push({ users: [user], probe: false });
    else this.scheduler.leaveSearch(user, nowMs);
  }
}

/** As it was sent: also what is sent once more, and as a removal what had expired. */
function countBlock(sent: SentCounts, { block, sentExpired }: Cell): void {
  sent.block(block.key, sentExpired || block.expiration === -1);
}

function noteWarnings(item: Item, warnings: readonly string[]): void {
  item.warnings = [...new Set([...(item.warnings ?? []), ...warnings])].slice(0, mostWarnings);
}

/** Before they wait again, since it says where. */
function noteRefused({ users }: Post, nowMs: number): void {
  for (const { cells } of users) {
    for (const cell of cells) cell.refusedAtMs = Math.min(cell.refusedAtMs, nowMs);
  }
}

function waitAgain({ cells }: PackedUser): void {
  for (const cell of cells) if (cell.state === 'inFlight') cell.state = 'waiting';
}

function sentEntries(body: string): SentEntry[] {
  return (JSON.parse(body) as { rt_segment: SentEntry[] }).rt_segment;
}
