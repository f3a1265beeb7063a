// Runtime of the out node: hands the entries of messages to the account's engine, and ends each message once.

import type { Node, NodeAPI, NodeDef } from 'node-red';
import { documentedRequestLimits, type MemberQueue } from '../../src/delivery/index';
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
import { noStatusOnceRemoved, nowDeployed } from '../shared/deployed';
import { InOrder } from '../shared/in-order';
import type { Message } from '../shared/message-copy';
import { statusText } from '../shared/queue-state';
import { problemsText, readSaved, type Reading, type Saved } from '../shared/saved';
import { newSlices } from '../shared/slices';
import { toError, typedInputsOf } from '../shared/typed-input';
import { issueText, rejection, type Rejection } from '../shared/words';
import { Reporter, type Delivery } from './reporter';
import { outSchema, type OutSettings } from './schema';
import { letGo } from './segment-watch';
import { SegmentWarnings } from './segment-words';
import { accountStatus, StatusLine } from './status-line';

type Done = Delivery['done'];

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

type Incoming = Pick<Delivery, 'message' | 'send' | 'done'>;

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
  private readonly source: Source;
  private engine: MemberQueue | null = null;
  /** Why messages fail, in words; null while they need not. */
  private problem: string | null = null;
  private closed = false;
  /** Messages before the account's engine was ready. */
  private readonly early: (() => void)[] = [];
  /** Messages not yet handed to the engine. */
  private readonly notAccepted = new Set<Done>();

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
    node.on('input', (message, send, done) =>
      this.input({ message, send, done: this.onceOnly(done as (error?: string) => void) }),
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
    for (const done of this.notAccepted) done(this.notTaken());
  }

  private notTaken(): Error {
    return new Error(this.RED._('error.not_taken'));
  }

  // ── Input ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** A message is done exactly once. Errors are texts, since the debug sidebar shows only 30 characters of an error object. */
  private onceOnly(done: (error?: string) => void): Done {
    let called = false;
    const once: Done = (error) => {
      this.notAccepted.delete(once);
      if (called) return;
      called = true;
      if (error === undefined) done();
      else done(error.message);
    };
    return once;
  }

  private input(incoming: Incoming): void {
    const { message, done } = incoming;
    this.whenUsable(done, () => {
      this.notAccepted.add(done);
      const slices = newSlices();
      // A control message acts after the entries of earlier messages.
      const work =
        message.control === undefined
          ? this.workOf(incoming, slices)
          : (engine: MemberQueue) => this.control(engine, message, done);
      this.inOrder.deliver(work, slices.paused, (its) => this.whenReady(done, its));
    });
  }

  /** Acts, or ends the message with the reason why the node cannot. */
  private whenUsable(done: Done, act: () => void): void {
    this.reporter.guarded(done, () => {
      if (this.closed) done(this.notTaken());
      else if (this.problem !== null) done(new Error(this.problem));
      else act();
    });
  }

  private whenReady(done: Done, work: Work): void {
    this.whenUsable(done, () => {
      if (this.engine === null) this.early.push(() => this.whenReady(done, work));
      else {
        this.notAccepted.delete(done);
        work(this.engine);
      }
    });
  }

  private control(engine: MemberQueue, message: Message, done: Done): void {
    const { control } = message;
    if (control === 'erase') {
      this.erase(engine, message, done);
      return;
    }
    if (control === 'flush') engine.flush();
    else if (control === 'pause') engine.pause();
    else if (control === 'resume') engine.resume();
    else {
      done(new Error(this.RED._('error.control_unknown', { control: shorten(control) })));
      return;
    }
    this.status.refresh();
    done();
  }

  /** Done when no entry of the user is left, in memory or on disk. */
  private erase(engine: MemberQueue, { user_id: user, domain }: Message, done: Done): void {
    const read = readErasedUser(user, domain);
    if (!read.ok) {
      done(new Error(issueText(this.RED, 'out', read.issue)));
      return;
    }
    forgetLastMessagesOf(read.id);
    this.notAccepted.add(done);
    const failed = (error: unknown): void =>
      done(new Error(this.RED._('error.erase_failed', { reason: shortenThrown(error) })));
    engine.erase(read.keys, read.id).then(() => done(), failed);
  }

  private workOf(incoming: Incoming, slices: Slices): Work | Promise<Work> {
    const read = (this.reader as EntryReader).read(incoming.message, slices);
    const workOn =
      (entries: MessageEntries): Work =>
      (engine) =>
        this.take(engine, incoming, entries);
    return read instanceof Promise ? read.then(workOn).catch(failedWork) : workOn(read);
  }

  private take(engine: MemberQueue, incoming: Incoming, read: MessageEntries): void {
    if (read.kind === 'unread') {
      incoming.done(new Error(read.reason));
      return;
    }
    if (read.kind === 'noEntries') {
      this.countInvalid(engine, [read.rejected]);
      incoming.done(new Error(read.rejected.message));
      return;
    }
    const { entries, valid, indexes, rejected } = read;
    if (rejected.length > 0) this.countInvalid(engine, rejected);
    const delivery: Delivery = { ...incoming, entries, rejected };
    this.segments.saw(valid);
    if (valid.length === 0) this.reporter.rejected(delivery);
    else if (this.settings.dryRun) {
      const limits = this.use.account?.requestLimits ?? documentedRequestLimits;
      this.reporter.dryRun(delivery, valid, limits);
    } else this.submit(engine, delivery, valid, rejected.length === 0 ? null : indexes);
  }

  private countInvalid(engine: MemberQueue, rejected: readonly Rejection[]): void {
    engine.monitor.refused(this.node.id, rejected);
    this.status.tell('invalid', rejected.length);
  }

  private submit(
    engine: MemberQueue,
    delivery: Delivery,
    entries: readonly CheckedEntry[],
    indexes: readonly number[] | null,
  ): void {
    engine.submit({
      source: this.source,
      entries,
      indexes,
      completeOn: this.settings.completeOn,
      onEnd: (end) =>
        this.reporter.guarded(delivery.done, () => this.reporter.ended(delivery, end, engine.durable)),
    });
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

interface Checked {
  /** As they are in the message. */
  readonly entries: readonly unknown[];
  readonly valid: CheckedEntry[];
  /** Of the valid ones, in the input. */
  readonly indexes: number[];
  readonly rejected: Rejection[];
}

type MessageEntries =
  | ({ readonly kind: 'checked' } & Checked)
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

  read(message: Record<string, unknown>, slices: Slices): MessageEntries | Promise<MessageEntries> {
    const { path, get } = this;
    const value = evaluateInput({ path, source: path, get }, { message, item: undefined });
    if (!(value instanceof Later)) return this.entriesIn(value, slices);
    return boxed(value).then((box) => this.entriesIn(box.value, slices));
  }

  private entriesIn(value: unknown, slices: Slices): MessageEntries | Promise<MessageEntries> {
    const { RED, path } = this;
    if (value instanceof Failed)
      return { kind: 'unread', reason: RED._('error.input_failed', { path, reason: value.reason }) };
    const read = readEntries(value, path);
    if (!read.ok) return { kind: 'noEntries', rejected: rejection(RED, 'out', 0, value, [read.issue]) };
    const { entries } = read;
    const checked: Checked = { entries, valid: [], indexes: [], rejected: [] };
    const working = eachInSlices(entries.length, slices, (index) => this.check(index, checked));
    const done: MessageEntries = { kind: 'checked', ...checked };
    return working === null ? done : working.then(() => done);
  }

  /** By index, since a hole in an array is also an invalid entry. */
  private check(index: number, { entries, valid, indexes, rejected }: Checked): void {
    const { allowUnknownFields, lateAdds } = this.settings;
    const mostIssues = rejected.length < mostFullyTold ? maxIssues : 1;
    const checked = checkEntry(entries[index], { allowUnknownFields, ages: lateAdds !== 'asIs', mostIssues });
    if (checked.ok) {
      valid.push(checked.entry);
      indexes.push(index);
    } else rejected.push(rejection(this.RED, 'out', index, entries[index], checked.issues));
  }
}

/** Wrapped in an object, since a message may hold a promise, which must not be awaited. */
async function boxed(later: Later): Promise<{ value: unknown }> {
  return { value: await settle(later) };
}
