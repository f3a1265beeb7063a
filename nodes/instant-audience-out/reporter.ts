// Reporter of outcomes to the flow: on an output with `msg.audience`, or as an error. Messages end in the order of their
// reports, even if one of them takes longer.

import type { Node, NodeAPI, NodeMessage } from 'node-red';
import { type CheckedEntry, readEntries, shortenThrown, inSlices, type Steps } from '../../src/entry/index';
import {
  dryRunSteps,
  type MemberQueue,
  type Recovered,
  type RequestLimits,
  type MessageEnd,
  type Submission,
  type Unchecked,
} from '../../src/delivery/index';
import { hasCompleteNode, isWired } from '../shared/deployed';
import { withSection } from '../shared/docs';
import { figuresOf } from '../shared/figures';
import { whenFlowsStarted } from '../shared/flow-start';
import { InOrder } from '../shared/in-order';
import { copyOf, type Message } from '../shared/message-copy';
import { newSlices } from '../shared/slices';
import { textOr, type Rejection } from '../shared/words';
import type { StatusLine } from './status-line';

/** What a message needs of its node. */
export interface DeliveringNode extends Pick<Submission, 'source' | 'completeOn'> {
  checkLate(delivery: Delivery): readonly CheckedEntry[];
  ended(delivery: Delivery, end: MessageEnd): void;
}

const oneEntry = 1;
const sameIndexes = null;

/**
 * A message on its way through the node. It submits itself if its one entry is to be checked later, so that a burst of
 * waiting messages has no further objects.
 */
export class Delivery implements Unchecked, Submission {
  /** That it was submitted to. */
  engine: MemberQueue | null = null;
  /** Where the entries of the message are. */
  input: unknown;
  /** Rejected before anything was queued. */
  rejected: readonly Rejection[] = none;

  /**
   * @param send null if nothing is wired to the node, so that Node-RED's function need not be kept
   * @param end Node-RED's `done`; takes a text, since the debug sidebar shows only 30 characters of an error object. Null once
   *   it is called.
   */
  constructor(
    readonly message: Message,
    readonly send: ((messages: (NodeMessage | null)[]) => void) | null,
    private end: ((error?: string) => void) | null,
    private readonly node: DeliveringNode,
  ) {}

  get length(): number {
    return oneEntry;
  }

  get source(): Submission['source'] {
    return this.node.source;
  }

  get completeOn(): Submission['completeOn'] {
    return this.node.completeOn;
  }

  /** Itself, as long as its entry is unchecked. */
  get entries(): this {
    return this;
  }

  get indexes(): Submission['indexes'] {
    return sameIndexes;
  }

  get onEnd(): Submission['onEnd'] {
    return (end) => this.node.ended(this, end);
  }

  check(): readonly CheckedEntry[] {
    return this.node.checkLate(this);
  }

  /** The entries as they came, for the rejected ones. */
  get given(): readonly unknown[] {
    const read = readEntries(this.input);
    return read.ok ? read.entries : none;
  }

  /** Counts once; later calls do nothing. */
  done(error?: Error): void {
    const { end } = this;
    if (end === null) return;
    this.end = null;
    if (error === undefined) end();
    else end(error.message);
  }
}

const none: readonly never[] = [];

/** The value of `msg.audience` on the first output. */
type Accepted = Readonly<Record<string, unknown>> & { readonly status: string };
type Refusal = Pick<Rejection, 'code' | 'message'>;
type Summary = Extract<MessageEnd, { kind: 'queued' }>['summary'];
type EngineRejection = Refusal & Pick<Rejection, 'index'>;

export class Reporter {
  private readonly inOrder = new InOrder();
  /** Late outcomes before the start of the flows; null afterwards. */
  private beforeStart: Recovered[] | null = [];
  private cancelStart = (): void => undefined;

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly accountName: () => string,
    private readonly status: StatusLine,
  ) {}

  /** Late outcomes wait until the nodes behind this one exist. */
  start(): void {
    this.cancelStart = whenFlowsStarted(this.RED, () => {
      const entries = this.beforeStart ?? [];
      this.beforeStart = null;
      if (entries.length > 0) this.recovered(entries);
    });
  }

  /** Returns the late outcomes that still wait. */
  stop(): readonly Recovered[] {
    this.cancelStart();
    return this.beforeStart ?? [];
  }

  private get rejectedIsWired(): boolean {
    return isWired(this.node, 1);
  }

  /** Null if nobody gets the message: of a burst the summaries would take a tenth of the memory. */
  private acceptedOf(
    { rejected }: Delivery,
    status: string,
    summary: Summary,
    later: readonly EngineRejection[],
  ): Accepted | null {
    const isError = rejected.length + later.length > 0;
    const isWiredAtAll = isWired(this.node, 0) || this.rejectedIsWired;
    if (!isError && !isWiredAtAll && !hasCompleteNode(this.RED, this.node)) return null;
    // Without object spread, of which the result takes more memory.
    const { entries, users, associations, accepted, superseded, expired, warnings } = summary;
    return { status, entries, users, associations, accepted, superseded, expired, warnings };
  }

  /** `durable`: whether queued entries survive this process. */
  ended(delivery: Delivery, end: MessageEnd, durable: boolean): void {
    switch (end.kind) {
      case 'settled':
        this.status.deliveredSome(end.summary.accepted);
        this.settled(delivery, end);
        return;
      case 'queued':
        if (end.reason === 'tooManyOpen') this.status.tell('queuedOnly');
        this.tell(delivery, this.acceptedOf(delivery, 'queued', end.summary, end.rejections), end.rejections);
        return;
      case 'parked':
        // Nothing leaves a node that closes, but what was refused before it was queued must not vanish.
        if (delivery.rejected.length === 0) delivery.done();
        else delivery.done(this.rejectedError(delivery.rejected, delivery.given.length));
        return;
      case 'failed':
        if (end.code === 'queue_full') this.status.tell('full');
        delivery.done(this.failedError(end, durable));
    }
  }

  /** Ends a message of which nothing was queued. */
  rejected(delivery: Delivery): void {
    this.tell(delivery, null, none);
  }

  /** Ends a message with the bodies that would have gone out. */
  dryRun(delivery: Delivery, entries: readonly CheckedEntry[], limits: RequestLimits): void {
    this.tellInSlices(delivery, this.showing(delivery, entries, limits));
  }

  /** Resolves when all reports so far are sent. */
  told(): Promise<void> {
    return this.inOrder.settled();
  }

  /** Acts on a message; should that fail, the message ends with the error. */
  guarded(delivery: Delivery, act: () => void): void {
    try {
      act();
    } catch (error) {
      delivery.done(new Error(this.RED._('error.unexpected', { reason: shortenThrown(error) })));
    }
  }

  private settled(
    delivery: Delivery,
    { summary, rejections }: Extract<MessageEnd, { kind: 'settled' }>,
  ): void {
    const succeeded = summary.accepted + summary.superseded + summary.expired > 0;
    const accepted = succeeded ? this.acceptedOf(delivery, 'accepted', summary, rejections) : null;
    this.tell(delivery, accepted, rejections);
  }

  /** Carries a message's end out in its turn. What was rejected is prepared in slices. */
  private tell(delivery: Delivery, accepted: Accepted | null, later: readonly EngineRejection[]): void {
    if (later.length + delivery.rejected.length > 0)
      this.tellInSlices(delivery, this.rejecting(delivery, accepted, later));
    else this.inTurn(delivery, () => this.end(delivery, accepted, none, null));
  }

  private tellInSlices(delivery: Delivery, steps: Steps<() => void>): void {
    const telling = inSlices(steps, newSlices());
    const failed = (error: unknown) => () => {
      throw error;
    };
    this.inTurn(delivery, telling instanceof Promise ? telling.catch(failed) : telling);
  }

  private inTurn(delivery: Delivery, end: (() => void) | Promise<() => void>): void {
    this.inOrder.deliver(end, false, (its) => this.guarded(delivery, its));
  }

  private *showing(
    delivery: Delivery,
    entries: readonly CheckedEntry[],
    limits: RequestLimits,
  ): Steps<() => void> {
    const requests = yield* dryRunSteps(entries, Date.now(), limits);
    return yield* this.rejecting(delivery, { status: 'dry run', entries: entries.length, requests }, none);
  }

  /** `later`: rejected by the engine or the service. */
  private *rejecting(
    delivery: Delivery,
    accepted: Accepted | null,
    later: readonly EngineRejection[],
  ): Steps<() => void> {
    const { given } = delivery;
    const rejected = [...delivery.rejected];
    for (const { index, ...refusal } of later) {
      rejected.push(this.rejectionOf(index, given[index], refusal));
      yield;
    }
    rejected.sort((a, b) => a.index - b.index);
    const refused =
      rejected.length > 0 && this.rejectedIsWired
        ? yield* this.rejectedMessage(delivery.message, accepted !== null, rejected)
        : null;
    return () => this.end(delivery, accepted, rejected, refused);
  }

  /** Sends delivered entries to the first output, rejected ones to the second or as an error. */
  private end(
    delivery: Delivery,
    accepted: Accepted | null,
    rejected: readonly Rejection[],
    refused: Message | null,
  ): void {
    const { message } = delivery;
    // A wire may have been added since.
    const send = delivery.send ?? ((messages) => this.node.send(messages));
    if (accepted !== null) {
      message.audience = accepted;
      send([message, null]);
    }
    // By itself: Node-RED copies whatever it sends beside something else.
    if (refused !== null) send([null, refused]);
    if (rejected.length === 0 || refused !== null) delivery.done();
    else delivery.done(this.rejectedError(rejected, delivery.given.length));
  }

  /** Late outcomes: after a restart, or when the message was complete once queued. */
  recovered(recovered: readonly Recovered[]): void {
    if (this.beforeStart !== null) {
      for (const entry of recovered) this.beforeStart.push(entry);
      return;
    }
    try {
      const rejected = recovered.filter(({ end }) => end === 'rejected');
      const accepted = recovered.filter(({ end }) => end !== 'rejected');
      this.status.deliveredSome(recovered.filter(({ end }) => end === 'accepted').length);
      if (accepted.length > 0) this.recoveredAccepted(accepted);
      if (rejected.length > 0) this.recoveredRejected(rejected);
    } catch (error) {
      // The engine tells others after this.
      this.node.error(this.RED._('error.unexpected', { reason: shortenThrown(error) }));
    }
  }

  private recoveredAccepted(recovered: readonly Recovered[]): void {
    const count = (end: Recovered['end']): number => recovered.filter((each) => each.end === end).length;
    const audience = {
      status: 'accepted',
      recovered: true,
      entries: recovered.length,
      users: new Set(recovered.map(({ entry }) => entry.userKey)).size,
      associations: recovered.reduce((sum, { entry }) => sum + entry.blocks.length, 0),
      accepted: count('accepted'),
      superseded: count('superseded'),
      expired: count('expired'),
    };
    this.node.send([{ payload: recovered.map(plainEntry), audience }, null]);
  }

  private recoveredRejected(recovered: readonly Recovered[]): void {
    const entries = recovered.map(plainEntry);
    const rejected = recovered.map(({ rejection }, index) =>
      this.rejectionOf(index, entries[index], rejection ?? { code: '', message: '' }),
    );
    const message = {
      payload: entries,
      audience: { status: 'rejected', recovered: true, rejected },
    } as NodeMessage;
    if (this.rejectedIsWired) this.node.send([null, message]);
    else this.node.error(this.rejectedText(rejected, rejected.length), message);
  }

  // ── Words ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Entries that the service refused, in the server's language if the reason is known. */
  private rejectionOf(index: number, entry: unknown, { code, message }: Refusal): Rejection {
    const text = textOr(this.RED, `rejection.${code}`, { message }, () => message);
    return { index, entry, code, message: text, issues: [] };
  }

  /** A copy when the message goes out on the first output too: no two outputs share an object. */
  private *rejectedMessage(
    message: Message,
    copies: boolean,
    rejected: readonly Rejection[],
  ): Steps<Message> {
    const audience = { status: 'rejected', rejected };
    if (copies) return yield* copyOf(this.RED, { ...message, audience });
    message.audience = audience;
    return message;
  }

  private rejectedText(rejected: readonly Rejection[], total: number): string {
    const first = rejected[0]!;
    if (total === 1) return first.message;
    const params = {
      ...figuresOf({ rejected: rejected.length, total }, this.RED),
      index: first.index,
      reason: first.message,
    };
    return this.RED._('error.rejected', params);
  }

  private rejectedError(rejected: readonly Rejection[], total: number): Error {
    return new Error(this.rejectedText(rejected, total));
  }

  private failedError(end: Extract<MessageEnd, { kind: 'failed' }>, durable: boolean): Error {
    // Entries not yet in the queue on disk are not lost with it: they never were in it.
    const key = end.code === 'closed' && durable ? 'not_taken' : end.code;
    const params = { ...figuresOf(end.params, this.RED), account: this.accountName() };
    const text = textOr(this.RED, `error.${key}`, params, () => end.message);
    return new Error(key === 'queue_full' ? withSection(text, 'caps', this.RED) : text);
  }
}

function plainEntry({ entry }: Recovered): unknown {
  return JSON.parse(entry.body);
}
