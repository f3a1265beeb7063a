// Runtime of the out node: hands the entries of messages to the account's engine, and ends each message once.

import type { Node, NodeAPI, NodeDef } from 'node-red';
import {
  checkEntry,
  maxIssues,
  type CheckOptions,
  type CheckedEntry,
  readErasedUser,
  type Issue,
  shorten,
  shortenThrown,
  readEntries,
  eachInSlices,
  type Slices,
  evaluateInput,
  Failed,
  Later,
  settle,
  type CompiledInput,
} from '../../src/entry/index';
import { type Recovered, documentedRequestLimits, type MemberQueue } from '../../src/delivery/index';
import type { Source } from '../../src/queue/index';
import { isWarning, type SegmentFinding } from '../../src/usage/index';
import type { AccountNode, Problem } from '../account/account-api';
import { orphanedQueuesOf } from '../account/process-wide';
import { forgetLastMessagesOf } from '../segment-builder/builder-node';
import { AccountUse } from '../shared/account-use';
import { noStatusOnceRemoved, nowDeployed } from '../shared/deployed';
import { pathOf } from '../shared/flow-graph';
import { whenFlowsStarted } from '../shared/flow-start';
import { InOrder } from '../shared/in-order';
import { short } from '../shared/queue-state';
import { problemText, readSaved, type Reading, type Saved } from '../shared/saved';
import { newSlices } from '../shared/slices';
import { toError, typedInputsOf } from '../shared/typed-input';
import { issueText, joinSentences, rejection, textOr, type Rejection } from '../shared/words';
import { Reporter, type Delivery, type Message } from './reporter';
import { outSchema, type OutSettings } from './schema';
import { letGo, SegmentWatch } from './segment-watch';
import { segmentRemark, segmentSentence } from './segment-words';
import { StatusLine } from './status-line';
import { accountStatus } from './status-words';

/** Number of rejected entries of a message with all their issues; the others have their first issue. */
const mostFullyTold = 100;
/** Number of remembered segment findings; each is logged once while remembered. */
const mostTold = 2_000;

type Send = Delivery['send'];
type Done = Delivery['done'];

export = (RED: NodeAPI): void => {
  function Out(this: Node, config: NodeDef & Saved): void {
    RED.nodes.createNode(this, config);
    nowDeployed(this);
    new OutNode(RED, this, readSaved(outSchema, config)).start();
  }

  RED.nodes.registerType('xandr-instant-audience-out', Out);
};

/** A message's request to the engine, in the order of the messages. */
type Work = (engine: MemberQueue) => void;

type Incoming = Pick<Delivery, 'message' | 'send' | 'done'>;

/** The entries of a message, as far as they are checked. */
interface Checked {
  readonly valid: CheckedEntry[];
  /** Of the valid ones, in the input. */
  readonly indexes: number[];
  readonly rejected: Rejection[];
}

/** The problem of an unusable node. */
const defaultSettings = (readSaved(outSchema, {}) as { settings: OutSettings }).settings;

class OutNode {
  private readonly settings: OutSettings;
  private readonly use: AccountUse;
  private readonly read: CompiledInput | Error;
  /** The property with the entries, as a flow author writes it. */
  private readonly path: string;
  private readonly checkOptions: CheckOptions;
  private readonly inOrder = new InOrder();
  private readonly status: StatusLine;
  private readonly reporter: Reporter;
  /** One object for all messages, so that stores can compare it. */
  private readonly source: Source;
  private engine: MemberQueue | null = null;
  private watch: SegmentWatch | null = null;
  /** Segment findings already logged. */
  private readonly told = new Set<string>();
  private problem: Problem | null = null;
  private closed = false;
  /** Late outcomes before the start of the flows; null afterwards. */
  private beforeStart: Recovered[] | null = [];
  private cancelStart = (): void => undefined;
  /** Messages before the account's engine was ready. */
  private readonly early: (() => void)[] = [];
  /** Messages not yet handed to the engine. */
  private readonly notAccepted = new Set<Done>();

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly reading: Reading<OutSettings>,
  ) {
    this.settings = reading.ok ? reading.settings : defaultSettings;
    const { input, inputType, account, allowUnknownFields, lateAdds, dryRun } = this.settings;
    this.path = `${inputType}.${input}`;
    this.read = this.compileInput(input, inputType);
    this.use = new AccountUse(RED, node.id, account, {
      ready: (engine, its) => ('key' in engine ? this.accountFailed(engine) : this.ready(engine, its)),
      missing: () => this.accountMissing(),
      closes: () => this.accountCloses(),
      recovered: (entries) => this.recovered(entries),
    });
    Object.assign(node, { accountId: account });
    this.checkOptions = { allowUnknownFields, ages: lateAdds !== 'asIs' };
    this.source = { node: node.id, account };
    this.status = new StatusLine(RED, node, dryRun, () => this.leftRemark() ?? this.segmentRemark());
    this.reporter = new Reporter(RED, node, () => this.use.account?.accountName ?? '', this.status);
  }

  start(): void {
    const { node, read, reading } = this;
    node.on('input', (message, send, done) =>
      this.input(message, send, this.onceOnly(done as (error?: string) => void)),
    );
    node.on('close', (removed: boolean, done: () => void) => void this.close(removed).then(done, done));
    noStatusOnceRemoved(node);
    if (!reading.ok) {
      const sentences = reading.problems.map((problem) => problemText(this.RED, 'invalid', problem));
      this.fail(
        { key: 'error.misconfigured', params: { reasons: joinSentences(sentences) } },
        'misconfigured',
      );
    } else if (read instanceof Error) {
      this.fail({ key: 'error.input_invalid', params: { reason: shortenThrown(read) } }, 'input_invalid');
    } else {
      this.status.connecting();
      this.cancelStart = whenFlowsStarted(this.RED, () => this.flowsStarted());
      this.use.join();
    }
  }

  private accountMissing(): void {
    const key = this.settings.account !== '' ? 'account_disabled_or_missing' : 'no_account';
    this.fail({ key: `error.${key}` }, key);
  }

  /** Later messages wait for the account with the same id after the deploy. */
  private accountCloses(): void {
    this.stopWork();
    this.engine = null;
    this.problem = null;
    this.status.connecting();
  }

  private stopWork(): void {
    this.status.stop();
    this.watch?.stop();
    this.watch = null;
  }

  /** Late outcomes wait until the nodes behind this one exist. */
  private recovered(entries: readonly Recovered[]): void {
    if (this.beforeStart === null) this.reporter.recovered(entries);
    else for (const entry of entries) this.beforeStart.push(entry);
  }

  private flowsStarted(): void {
    const entries = this.beforeStart ?? [];
    this.beforeStart = null;
    if (entries.length > 0) this.reporter.recovered(entries);
  }

  private compileInput(input: string, type: string): CompiledInput | Error {
    try {
      return typedInputsOf(this.RED, this.node)(input, type);
    } catch (error) {
      return toError(error);
    }
  }

  private accountFailed(problem: Problem): void {
    // The account's words are in the account's own file.
    const key = `@instant-audience/node-red-xandr/xandr-account:${problem.key}`;
    const reason = textOr(this.RED, key, { ...problem.params }, () => problem.key);
    this.fail({ key: 'error.account', params: { reason } }, accountStatus(problem.key));
  }

  private fail(problem: Problem, status: string): void {
    this.problem = problem;
    this.status.problem(status);
    this.node.error(this.problemText(problem));
    for (const call of this.early.splice(0)) call();
  }

  private problemText({ key, params }: Problem): string {
    return this.RED._(key, { ...params });
  }

  private ready(engine: MemberQueue, account: AccountNode): void {
    this.engine = engine;
    this.problem = null;
    this.status.follow(engine, account);
    this.watchSegments(engine, account);
    for (const call of this.early.splice(0)) call();
  }

  private watchSegments(engine: MemberQueue, account: AccountNode): void {
    const holds = this.settings.youngSegments === 'hold';
    // Holds of this node from before the deploy end.
    if (!holds) letGo(engine, this.node.id);
    if (this.settings.youngSegments === 'ignore') return;
    const { RED, node } = this;
    const out = pathOf(node);
    this.watch = new SegmentWatch({
      RED,
      node: node.id,
      out,
      account,
      engine,
      holds,
      changed: (findings) => {
        for (const finding of findings) this.tellFinding(finding, holds);
        this.status.refresh();
      },
      noLogin: RED._('segment.noLogin'),
      failed: (reason) => {
        if (reason !== null) node.warn(RED._('segment.failed', { reason }));
        this.status.refresh();
      },
    });
    this.watch.start();
  }

  /** Logs each finding once, since it holds for hours. */
  private tellFinding(finding: SegmentFinding, holds: boolean): void {
    const name = `${finding.kind} ${finding.key}`;
    if (this.told.has(name)) return;
    if (this.told.size >= mostTold) this.told.clear();
    this.told.add(name);
    const sentence = segmentSentence(this.RED, finding, holds);
    if (isWarning(finding)) this.node.warn(sentence);
    else this.node.log(sentence);
  }

  /** Entries in the queue of a former address or member of the account. */
  private leftRemark(): string | null {
    const entries = orphanedQueuesOf(this.RED)
      .behind(this.settings.account)
      .reduce((sum, { waiting }) => sum + waiting, 0);
    return entries === 0 ? null : this.RED._('status.leftBehind', { number: short(entries) });
  }

  private segmentRemark(): string | null {
    if (this.watch !== null && this.watch.failure !== null) return this.RED._('status.segments_failed');
    const holds = this.settings.youngSegments === 'hold';
    return segmentRemark(this.RED, this.watch?.warnings(Date.now()) ?? [], holds);
  }

  /** Messages in the engine end through it; the others end as not queued. */
  private async close(removed: boolean): Promise<void> {
    this.stopWork();
    if (removed && this.engine !== null) letGo(this.engine, this.node.id);
    this.cancelStart();
    await this.use.leave(!removed, this.beforeStart ?? []);
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

  private input(message: Message, send: Send, done: Done): void {
    this.reporter.guarded(done, () => {
      if (this.closed) done(this.notTaken());
      else if (this.problem !== null) done(new Error(this.problemText(this.problem)));
      else {
        this.notAccepted.add(done);
        // A control message acts after the entries of earlier messages.
        const slices = newSlices();
        const work =
          message.control === undefined
            ? this.readMessage({ message, send, done }, slices)
            : (engine: MemberQueue) => this.control(engine, message, done);
        this.inOrder.deliver(work, slices.paused, (its) => this.whenReady(done, its));
      }
    });
  }

  private whenReady(done: Done, work: Work): void {
    this.reporter.guarded(done, () => {
      if (this.closed) done(this.notTaken());
      else if (this.problem !== null) done(new Error(this.problemText(this.problem)));
      else if (this.engine === null) this.early.push(() => this.whenReady(done, work));
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

  private readMessage(incoming: Incoming, slices: Slices): Work | Promise<Work> {
    const input = { path: this.path, source: this.path, get: this.read as CompiledInput };
    const value = evaluateInput(input, { message: incoming.message, item: undefined });
    const read = (found: unknown): Work | Promise<Work> => this.readValue(found, slices, incoming);
    const work = value instanceof Later ? boxed(value).then((box) => read(box.value)) : read(value);
    return work instanceof Promise ? work.catch(failedWork) : work;
  }

  private readValue(value: unknown, slices: Slices, message: Incoming): Work | Promise<Work> {
    const fail = (text: string) => () => message.done(new Error(text));
    if (value instanceof Failed)
      return fail(this.RED._('error.input_failed', { path: this.path, reason: value.reason }));
    const read = readEntries(value, this.path);
    if (!read.ok) return (engine) => this.takeNothing(engine, value, read.issue, message.done);
    const { entries } = read;
    const checked: Checked = { valid: [], indexes: [], rejected: [] };
    const working = eachInSlices(entries.length, slices, (index) => this.check(entries, index, checked));
    const work: Work = (engine) => this.takeChecked(engine, { ...message, entries }, checked);
    return working === null ? work : working.then(() => work);
  }

  /** By index, since a hole in an array is also an invalid entry. */
  private check(entries: readonly unknown[], index: number, { valid, indexes, rejected }: Checked): void {
    const mostIssues = rejected.length < mostFullyTold ? maxIssues : 1;
    const checked = checkEntry(entries[index], { ...this.checkOptions, mostIssues });
    if (checked.ok) {
      valid.push(checked.entry);
      indexes.push(index);
    } else rejected.push(rejection(this.RED, 'out', index, entries[index], checked.issues));
  }

  private takeChecked(
    engine: MemberQueue,
    message: Omit<Delivery, 'rejected'>,
    { valid, indexes, rejected }: Checked,
  ): void {
    if (rejected.length > 0) this.countInvalid(engine, rejected);
    const delivery: Delivery = { ...message, rejected };
    this.watch?.saw(valid);
    if (valid.length === 0) this.reporter.rejected(delivery);
    else if (this.settings.dryRun) this.showDryRun(delivery, valid);
    else this.submit(engine, delivery, valid, rejected.length === 0 ? null : indexes);
  }

  /** The message has no entry. */
  private takeNothing(engine: MemberQueue, value: unknown, issue: Issue, done: Done): void {
    const refused = rejection(this.RED, 'out', 0, value, [issue]);
    this.countInvalid(engine, [refused]);
    done(new Error(refused.message));
  }

  private countInvalid(engine: MemberQueue, rejected: readonly Rejection[]): void {
    engine.monitor.refused(this.node.id, rejected);
    this.status.tell('invalid', rejected.length);
  }

  private showDryRun(delivery: Delivery, entries: readonly CheckedEntry[]): void {
    const requestLimits = this.use.account?.requestLimits ?? documentedRequestLimits;
    this.reporter.dryRun(delivery, entries, requestLimits);
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

/** Wrapped in an object, since a message may hold a promise, which must not be awaited. */
async function boxed(later: Later): Promise<{ value: unknown }> {
  return { value: await settle(later) };
}
