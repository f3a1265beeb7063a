// Runtime of the out node: hands the entries of messages to the account's engine, and ends each message once.

import type { Node, NodeAPI, NodeDef } from 'node-red';
import {
  documentedRequestLimits,
  type MemberQueue,
  type MessageEnd,
  type Submission,
} from '../../src/delivery/index';
import {
  checkEntry,
  type CheckedEntry,
  type CompiledInput,
  eachInSlices,
  evaluateInput,
  Failed,
  Later,
  maxIssues,
  readEntries,
  readErasedUser,
  settle,
  shorten,
  shortenThrown,
  type Slices,
} from '../../src/entry/index';
import type { Source } from '../../src/queue/index';
import type { AccountNode } from '../account/account-api';
import { orphanedQueuesOf } from '../account/process-wide';
import { forgetLastMessagesOf } from '../segment-builder/builder-node';
import { AccountUse } from '../shared/account-use';
import { isWired, noStatusOnceRemoved, nowDeployed } from '../shared/deployed';
import { InOrder } from '../shared/in-order';
import { statusText } from '../shared/queue-state';
import { problemsText, readSaved, type Reading, type Saved } from '../shared/saved';
import { newSlices } from '../shared/slices';
import { toError, typedInputsOf } from '../shared/typed-input';
import { issueText, rejection, type Rejection } from '../shared/words';
import { Delivery, Reporter } from './reporter';
import { outSchema, type OutSettings } from './schema';
import { letGo } from './segment-watch';
import { SegmentWarnings } from './segment-words';
import { accountStatus, StatusLine } from './status-line';

export = (RED: NodeAPI): void => {
  function Out(this: Node, config: NodeDef & Saved): void {
    RED.nodes.createNode(this, config);
    nowDeployed(this);
    const reading = readSaved(outSchema, config);
    new OutNode(RED, this, reading.ok ? reading.settings : defaultSettings).start(reading);
  }

  RED.nodes.registerType('xandr-instant-audience-out', Out);
};

/** A message's request to the engine, in the order of the messages. */
type Work = (engine: MemberQueue) => void;

/** Of an unusable node. */
const defaultSettings = (readSaved(outSchema, {}) as { settings: OutSettings }).settings;

class OutNode {
  private readonly use: AccountUse;
  private readonly reader: EntryReader | Error;
  private readonly inOrder = new InOrder();
  private readonly segments: SegmentWarnings;
  private readonly status: StatusLine;
  private readonly reporter: Reporter;
  /** One object for all messages, so that stores can compare it. */
  readonly source: Source;
  private engine: MemberQueue | null = null;
  /** Why messages fail, in words; null while they need not. */
  private problem: string | null = null;
  private closed = false;
  /** Messages before the account's engine was ready. */
  private readonly early: (() => void)[] = [];
  /** Messages that wait to be handed to the engine, and erasures under way. */
  private readonly notAccepted = new Set<Delivery>();

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly settings: OutSettings,
  ) {
    const { account, dryRun, youngSegments } = settings;
    this.reader = entryReader(RED, node, settings);
    this.use = new AccountUse(RED, node.id, account, {
      ready: (engine, its) => this.ready(engine, its),
      failed: ({ key, params, problem }) =>
        this.fail(RED._(`error.${key}`, { ...params }), problem === undefined ? key : accountStatus(problem)),
      closes: () => this.accountCloses(),
      recovered: (entries) => this.reporter.recovered(entries),
    });
    Object.assign(node, { accountId: account });
    this.source = { node: node.id, account };
    this.segments = new SegmentWarnings(RED, node, youngSegments, () => this.status.refresh());
    this.status = new StatusLine(RED, node, dryRun, () => this.leftRemark() ?? this.segments.remark());
    this.reporter = new Reporter(RED, node, () => this.use.account?.accountName ?? '', this.status);
  }

  start(reading: Reading<OutSettings>): void {
    const { RED, node, reader } = this;
    const isAnyWired = (): boolean => isWired(node, 0) || isWired(node, 1);
    node.on('input', (message, send, done) =>
      this.input(new Delivery(message, isAnyWired() ? send : null, done as (error?: string) => void, this)),
    );
    node.on('close', (removed: boolean, done: () => void) => void this.close(removed).then(done, done));
    noStatusOnceRemoved(node);
    if (!reading.ok) {
      const reasons = problemsText(RED, reading.problems);
      this.fail(RED._('error.misconfigured', { reasons }), 'misconfigured');
    } else if (reader instanceof Error) {
      this.fail(RED._('error.input_invalid', { reason: shortenThrown(reader) }), 'input_invalid');
    } else {
      this.status.show('waiting', 'connecting');
      this.reporter.start();
      this.use.join();
    }
  }

  /** Later messages wait for the account with the same id after the deploy. */
  private accountCloses(): void {
    this.stopWork();
    this.engine = null;
    this.problem = null;
    this.status.show('waiting', 'connecting');
  }

  private stopWork(): void {
    this.status.stop();
    this.segments.stop();
  }

  private fail(problem: string, status: string): void {
    this.problem = problem;
    this.status.show('stopped', status);
    this.node.error(problem);
    for (const call of this.early.splice(0)) call();
  }

  private ready(engine: MemberQueue, account: AccountNode): void {
    this.engine = engine;
    this.problem = null;
    this.status.follow(engine, account);
    this.segments.start(engine, account);
    for (const call of this.early.splice(0)) call();
  }

  /** Entries in the queue of a former address or member of the account. */
  private leftRemark(): string | null {
    const entries = orphanedQueuesOf(this.RED)
      .behind(this.settings.account)
      .reduce((sum, { waiting }) => sum + waiting, 0);
    return entries === 0 ? null : statusText({ key: 'leftBehind', params: { number: entries } }, this.RED);
  }

  /** Messages in the engine end through it; the others end as not queued. */
  private async close(removed: boolean): Promise<void> {
    this.stopWork();
    if (removed && this.engine !== null) letGo(this.engine, this.node.id);
    await this.use.leave(!removed, this.reporter.stop());
    this.closed = true;
    await this.reporter.told();
    for (const delivery of this.notAccepted) delivery.done(this.notTaken());
  }

  private notTaken(): Error {
    return new Error(this.RED._('error.not_taken'));
  }

  // ── Input ───────────────────────────────────────────────────────────────────────────────────────────────────

  private input(delivery: Delivery): void {
    this.whenUsable(delivery, () => {
      const slices = newSlices();
      // A control message acts after the entries of earlier messages.
      const work =
        delivery.message.control === undefined
          ? this.workOf(delivery, slices)
          : (engine: MemberQueue) => this.control(engine, delivery);
      const isDelivered = this.inOrder.deliver(work, slices.paused, (its) => this.whenReady(delivery, its));
      if (!isDelivered) this.notAccepted.add(delivery);
    });
  }

  /** Acts, or ends the message with the reason why the node cannot. */
  private whenUsable(delivery: Delivery, act: () => void): void {
    this.reporter.guarded(delivery, () => {
      if (this.closed) delivery.done(this.notTaken());
      else if (this.problem !== null) delivery.done(new Error(this.problem));
      else act();
    });
  }

  private whenReady(delivery: Delivery, work: Work): void {
    this.notAccepted.delete(delivery);
    this.whenUsable(delivery, () => {
      if (this.engine !== null) {
        work(this.engine);
        return;
      }
      this.notAccepted.add(delivery);
      this.early.push(() => this.whenReady(delivery, work));
    });
  }

  private control(engine: MemberQueue, delivery: Delivery): void {
    const { control } = delivery.message;
    if (control === 'erase') {
      this.erase(engine, delivery);
      return;
    }
    if (control === 'flush') engine.flush();
    else if (control === 'pause') engine.pause();
    else if (control === 'resume') engine.resume();
    else {
      delivery.done(new Error(this.RED._('error.control_unknown', { control: shorten(control) })));
      return;
    }
    this.status.refresh();
    delivery.done();
  }

  /** Done when no entry of the user is left, in memory or on disk. */
  private erase(engine: MemberQueue, delivery: Delivery): void {
    const { user_id: user, domain } = delivery.message;
    const read = readErasedUser(user, domain);
    if (!read.ok) {
      delivery.done(new Error(issueText(this.RED, 'out', read.issue)));
      return;
    }
    forgetLastMessagesOf(read.id);
    this.notAccepted.add(delivery);
    const ended = (error?: Error): void => {
      this.notAccepted.delete(delivery);
      delivery.done(error);
    };
    const failed = (error: unknown): void =>
      ended(new Error(this.RED._('error.erase_failed', { reason: shortenThrown(error) })));
    engine.erase(read.keys, read.id).then(() => ended(), failed);
  }

  private workOf(delivery: Delivery, slices: Slices): Work | Promise<Work> {
    // In a burst, a message with one entry waits unchecked, which takes less memory.
    const later = this.engine?.isBehind === true && !this.settings.dryRun;
    const read = this.entryReader.read(delivery, slices, later);
    const workOn =
      (entries: MessageEntries): Work =>
      (engine) =>
        this.take(engine, delivery, entries);
    return read instanceof Promise ? read.then(workOn).catch(failedWork) : workOn(read);
  }

  private take(engine: MemberQueue, delivery: Delivery, read: MessageEntries): void {
    if (read.kind === 'unread') {
      delivery.done(new Error(read.reason));
      return;
    }
    if (read.kind === 'noEntries') {
      this.countInvalid(engine, [read.rejected]);
      delivery.done(new Error(read.rejected.message));
      return;
    }
    if (read.kind === 'unchecked' && engine.isBehind) {
      delivery.engine = engine;
      engine.submit(delivery);
      return;
    }
    const checked = read.kind === 'unchecked' ? this.entryReader.checkOne(delivery) : read;
    const { valid, indexes } = checked;
    this.saw(engine, delivery, checked);
    if (valid.length === 0) this.reporter.rejected(delivery);
    else if (this.settings.dryRun) {
      const limits = this.use.account?.requestLimits ?? documentedRequestLimits;
      this.reporter.dryRun(delivery, valid, limits);
    } else this.submit(engine, delivery, valid, indexes);
  }

  private saw(engine: MemberQueue, delivery: Delivery, { valid, rejected }: Checked): void {
    if (rejected.length > 0) this.countInvalid(engine, rejected);
    // After a burst the delivery is in V8's old generation, where it would keep even an empty list until a full collection.
    if (rejected.length > 0) delivery.rejected = rejected;
    this.segments.saw(valid);
  }

  /** The entry of a message that waited unchecked, if it is valid. */
  checkLate(delivery: Delivery): readonly CheckedEntry[] {
    let valid: readonly CheckedEntry[] = [];
    this.reporter.guarded(delivery, () => {
      const checked = this.entryReader.checkOne(delivery);
      this.saw(delivery.engine!, delivery, checked);
      ({ valid } = checked);
    });
    return valid;
  }

  private get entryReader(): EntryReader {
    return this.reader as EntryReader;
  }

  private countInvalid(engine: MemberQueue, rejected: readonly Rejection[]): void {
    engine.monitor.refused(this.node.id, rejected);
    this.status.tell('invalid', rejected.length);
  }

  private submit(
    engine: MemberQueue,
    delivery: Delivery,
    entries: Submission['entries'],
    indexes: readonly number[] | null,
  ): void {
    delivery.engine = engine;
    const { source, completeOn } = this;
    engine.submit({ source, entries, indexes, completeOn, onEnd: (end) => this.ended(delivery, end) });
  }

  /** The engine ends a message. */
  ended(delivery: Delivery, end: MessageEnd): void {
    this.reporter.guarded(delivery, () => this.reporter.ended(delivery, end, delivery.engine!.durable));
  }

  get completeOn(): Submission['completeOn'] {
    return this.settings.completeOn;
  }
}

function failedWork(error: unknown): Work {
  return () => {
    throw error;
  };
}

function entryReader(RED: NodeAPI, node: Node, settings: OutSettings): EntryReader | Error {
  try {
    return new EntryReader(RED, node, settings);
  } catch (error) {
    return toError(error);
  }
}

// ── The entries of a message ────────────────────────────────────────────────────────────────────────────────────────

/** Number of rejected entries of a message with all their issues; the others have their first issue. */
const mostFullyTold = 100;

class Checked {
  readonly kind = 'checked';
  readonly valid: CheckedEntry[];
  /** Of the valid ones, in the input; null while all are valid. */
  indexes: number[] | null = null;
  rejected: Rejection[] = [];
  private count = 0;

  constructor(most: number) {
    this.valid = new Array<CheckedEntry>(most);
  }

  accept(index: number, entry: CheckedEntry): void {
    this.valid[this.count++] = entry;
    this.indexes?.push(index);
  }

  reject(rejection: Rejection): void {
    this.indexes ??= Array.from({ length: this.count }, (_, index) => index);
    this.rejected.push(rejection);
  }

  /** After the last entry. */
  whole(): this {
    this.valid.length = this.count;
    return this;
  }
}

type MessageEntries =
  | Checked
  /** One entry, to be checked when the message is taken. */
  | { readonly kind: 'unchecked' }
  | { readonly kind: 'noEntries'; readonly rejected: Rejection }
  /** The input could not be read. */
  | { readonly kind: 'unread'; readonly reason: string };

class EntryReader {
  /** The property with the entries, as a flow author writes it. */
  private readonly path: string;
  private readonly get: CompiledInput;

  /** Throws where the typed input is invalid. */
  constructor(
    private readonly RED: NodeAPI,
    node: Node,
    private readonly settings: OutSettings,
  ) {
    const { input, inputType } = settings;
    this.path = `${inputType}.${input}`;
    this.get = typedInputsOf(RED, node)(input, inputType);
  }

  /** @param later whether a single entry is to be checked later */
  read(delivery: Delivery, slices: Slices, later: boolean): MessageEntries | Promise<MessageEntries> {
    const { path, get } = this;
    const { message } = delivery;
    const value = evaluateInput({ path, source: path, get }, { message, item: undefined });
    if (!(value instanceof Later)) return this.entriesIn(value, delivery, slices, later);
    return boxed(value).then((box) => this.entriesIn(box.value, delivery, slices, later));
  }

  private entriesIn(
    value: unknown,
    delivery: Delivery,
    slices: Slices,
    later: boolean,
  ): MessageEntries | Promise<MessageEntries> {
    const { RED, path } = this;
    delivery.input = value;
    if (value instanceof Failed)
      return { kind: 'unread', reason: RED._('error.input_failed', { path, reason: value.reason }) };
    const read = readEntries(value, path);
    if (!read.ok) return { kind: 'noEntries', rejected: rejection(RED, 'out', 0, value, [read.issue]) };
    const { entries } = read;
    if (later && entries.length === 1) return { kind: 'unchecked' };
    const checked = new Checked(entries.length);
    const working = eachInSlices(entries.length, slices, (index) => this.check(entries, index, checked));
    return working === null ? checked.whole() : working.then(() => checked.whole());
  }

  /** Of a message with one entry. */
  checkOne({ given }: Delivery): Checked {
    const checked = new Checked(1);
    this.check(given, 0, checked);
    return checked.whole();
  }

  /** By index, since a hole in an array is also an invalid entry. */
  private check(entries: readonly unknown[], index: number, checked: Checked): void {
    const { allowUnknownFields, lateAdds } = this.settings;
    const entry = entries[index];
    const mostIssues = checked.rejected.length < mostFullyTold ? maxIssues : 1;
    const result = checkEntry(entry, { allowUnknownFields, ages: lateAdds !== 'asIs', mostIssues });
    if (result.ok) checked.accept(index, result.entry);
    else checked.reject(rejection(this.RED, 'out', index, entry, result.issues));
  }
}

/** Wrapped in an object, since a message may hold a promise, which must not be awaited. */
async function boxed(later: Later): Promise<{ value: unknown }> {
  return { value: await settle(later) };
}
