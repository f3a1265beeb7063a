// A load of numbered audience events over HTTP, from clients that know which of their events were taken.
import { setTimeout as sleep } from 'node:timers/promises';
import { sampleSegments } from '../../src/sandbox/catalogue';
import type { Change, ExpectedAudience } from './expected-audience';

export interface LoadOptions {
  readonly expected: ExpectedAudience;
  /** Each belongs to one client, so that its events have an order. */
  readonly users: number;
  /** Each sends one message at a time. */
  readonly clients?: number;
  /** Between two messages of a client, in ms. */
  readonly pauseMs?: number;
  /** How long a client waits for an answer, in ms. */
  readonly answerMs?: number;
  /**
   * What a client does with a message that was not taken, or that nobody answered: gives up (`once`; without an
   * answer it is open whether it was taken), or sends it again until it is taken (`untilTaken`).
   */
  readonly delivery: 'once' | 'untilTaken';
  readonly sticky?: boolean;
  /** A message has 1 … so many events; 5 unless said. */
  readonly mostEvents?: number;
  /** The dice; Math.random unless said. */
  readonly random?: () => number;
}

export interface LoadCounts {
  /** Events whose taking was acknowledged. */
  taken: number;
  /** Events of messages without an answer. */
  unanswered: number;
  /** Messages sent again. */
  repeated: number;
}

interface Message {
  readonly entries: readonly unknown[];
  readonly changes: readonly Change[];
}

const segments = sampleSegments(1).slice(0, 4);
const mostEvents = 5;
const removalShare = 0.3;
const answerMs = 10_000;
const retryMs = 30;
/** Certainly not taken: the door is closed (it is before the house is), or the queue refuses. */
const notTaken: ReadonlySet<number> = new Set([404, 503]);

export class EventLoad {
  readonly counts: LoadCounts = { taken: 0, unanswered: 0, repeated: 0 };
  /** Each client's messages, and so each user's events, go to one of the addresses as long as these stay the same. */
  sticky: boolean;
  private urls: readonly string[] = [];
  private number = 0;
  private stopping = false;
  private discarded = false;
  private working: Promise<unknown> = Promise.resolve();

  private readonly random: () => number;

  constructor(private readonly options: LoadOptions) {
    this.random = options.random ?? Math.random;
    this.sticky = options.sticky ?? false;
  }

  /** Sends until `stop`: each message, and each try of one, to any of the addresses unless it is sticky. */
  start(...urls: string[]): void {
    const { clients = 24, users } = this.options;
    this.urls = urls;
    this.stopping = false;
    this.working = Promise.all(
      Array.from({ length: clients }, (_, client) => {
        const own = Array.from({ length: users }, (_user, user) => user).filter(
          (user) => user % clients === client,
        );
        return this.work(own, client);
      }),
    );
    // Whoever stops it gets the error.
    this.working.catch(() => undefined);
  }

  /** Which addresses take messages from now on. */
  sendTo(...urls: string[]): void {
    this.urls = urls;
  }

  /** Resolves when no message is under way; rejects when one got an answer that it should not get. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.working;
  }

  /** Stops without waiting for anybody to take what is under way. Never rejects. */
  async discard(): Promise<void> {
    this.discarded = true;
    await this.stop().catch(() => undefined);
  }

  private async work(users: readonly number[], client: number): Promise<void> {
    while (!this.stopping) {
      const message = this.nextMessage(users);
      if (!(await this.deliver(message, client))) return;
      await sleep(this.options.pauseMs ?? 0);
    }
  }

  /** False when the other side is gone and the client gives up. */
  private async deliver({ entries, changes }: Message, client: number): Promise<boolean> {
    const { expected, delivery } = this.options;
    for (;;) {
      const url = this.urls[this.sticky ? client % this.urls.length : this.below(this.urls.length)]!;
      const answer = await send(url, entries, this.options.answerMs ?? answerMs);
      if (answer === 'taken') {
        expected.taken(changes);
        this.counts.taken += changes.length;
        return true;
      }
      if (answer !== 'none' && !notTaken.has(answer))
        throw new Error(`A message was answered with ${answer}`);
      if (delivery === 'once' || this.discarded) {
        if (answer === 'none') this.unanswered(changes);
        return false;
      }
      this.counts.repeated += 1;
      await sleep(retryMs);
    }
  }

  private unanswered(changes: readonly Change[]): void {
    this.options.expected.unanswered(changes);
    this.counts.unanswered += changes.length;
  }

  /** A few events of some of the users, in order; a user may come twice, in the other spelling of its id. */
  private nextMessage(users: readonly number[]): Message {
    const length = 1 + this.below(this.options.mostEvents ?? mostEvents);
    const events = Array.from({ length }, () => this.nextEvent(users[this.below(users.length)]!));
    return { entries: events.map(({ entry }) => entry), changes: events.map(({ change }) => change) };
  }

  private nextEvent(user: number): { entry: unknown; change: Change } {
    const value = (this.number += 1);
    const segment = segments[this.below(segments.length)]!;
    const removal = this.random() < removalShare;
    const identity =
      value % 4 !== 0 ? { seg_id: segment.id } : { seg_code: segment.code, member_id: segment.member_id };
    const block = removal ? { ...identity, expiration: -1 } : { ...identity, value, expiration: 43_200 };
    const [id, domain] = userOf(user);
    const spelled = domain !== null && value % 3 === 0 ? id.toUpperCase() : id;
    return {
      entry: { user_id: spelled, domain, seg_block: [block] },
      change: { user: id, segment: segment.id, value: removal ? null : value },
    };
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }
}

/** Half of them are the platform's own ids, longer than a number can be; the others devices, in either case. */
function userOf(user: number): [id: string, domain: string | null] {
  const digits = String(user).padStart(12, '0');
  return user % 2 === 0 ? [`10000000${digits}`, null] : [`1ba98a6c-d1a5-49ef-ad1c-${digits}`, 'idfa'];
}

/** `none` is no answer at all; a number is the status of one that is not 202. */
type Answer = 'taken' | 'none' | number;

async function send(url: string, entries: readonly unknown[], timeoutMs: number): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(entries),
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.arrayBuffer();
    return response.status === 202 ? 'taken' : response.status;
  } catch {
    return 'none';
  }
}
