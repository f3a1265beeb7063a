// Runtime of the audience sync: hands the rows of messages to the sync of its segment, and reports runs.

import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { systemClock, within } from '../../src/clock';
import { tcStringReader } from '../../src/consent/index';
import type { MemberQueue } from '../../src/delivery/index';
import {
  compileBuilder,
  evaluateInput,
  Failed,
  isObject,
  settle,
  shorten,
  shortenThrown,
  userHead,
  type Builder,
  type CompiledInput,
} from '../../src/entry/index';
import { InTurn } from '../../src/in-turn';
import { QueueError } from '../../src/queue/index';
import {
  NothingRefused,
  readPart,
  segmentKeyOf,
  SegmentSync,
  type MemberSync,
  type Part,
  type RunReport,
  type SegmentName,
  type SyncListener,
} from '../../src/sync/index';
import type { AccountNode } from '../account/account-api';
import { AccountUse } from '../shared/account-use';
import { isWired, noStatusOnceRemoved } from '../shared/deployed';
import { figuresOf } from '../shared/figures';
import { whenFlowsStarted } from '../shared/flow-start';
import type { Message } from '../shared/message-copy';
import { conditionOf, statusText } from '../shared/queue-state';
import { problemsText, type Reading, type Saved } from '../shared/saved';
import { newSlices } from '../shared/slices';
import { typedInputsOf } from '../shared/typed-input';
import { textOr, type Rejection, type Words } from '../shared/words';
import { MessageRows, rowListOf } from './rows';
import { readSync, type SyncSettings } from './schema';
import { StatusLine } from './status-line';
import { claimSegment, formerSyncsEnded, releaseSegment, type SyncedByNode } from './synced-segments';
import { problemOfRun, rowRejection, toldReport, wordsOf } from './words';

/** A text: the debug sidebar cuts the sentence of an Error. */
type Done = (error?: string) => void;
type Send = (messages: (NodeMessage | null)[]) => void;

/** Why a message cannot be taken, in words. */
class NotTaken extends Error {}

export = (RED: NodeAPI): void => {
  function Sync(this: Node, config: NodeDef & Saved): void {
    RED.nodes.createNode(this, config);
    new SyncNode(RED, this, readSync(config)).start();
  }

  RED.nodes.registerType('xandr-audience-sync', Sync);
};

/** The account's engine, and what this node has of it. */
interface Running {
  readonly engine: MemberQueue;
  readonly account: AccountNode;
  readonly segment: SyncedByNode;
  readonly unfollow: () => void;
  /** Of which `segment.sync` was made. */
  members: MemberSync | null;
}

interface Reader {
  readonly builder: Builder;
  readonly rows: CompiledInput;
  readonly asksConsent: boolean;
}

const controls = ['preview', 'force', 'resend', 'forget'] as const;
type Control = (typeof controls)[number];

class SyncNode {
  private readonly use: AccountUse;
  private readonly status: StatusLine;
  private readonly reader: Reader | null;
  private readonly builderWords: Words;
  private running: Running | null = null;
  /** Why messages fail, in words; null while they need not. */
  private problem: string | null = null;
  private closed = false;
  /** One message after the other, also those that came before the account's engine was ready. */
  private readonly turns = new InTurn();
  /** Resolves when there may be something new for the messages that wait. */
  private change = Promise.withResolvers<undefined>();
  /** Opening and closing of syncs, one after the other. */
  private readonly life = new InTurn();
  private cancelStart = (): void => undefined;
  /** Of the last message of the open run, for its report. */
  private carried: object = {};
  /** The open audience of which the flow was told that another instance carries out the runs; null for none. */
  private standbyToldOf: Pick<Part, 'id'> | null = null;
  private cancelRetry = (): void => undefined;
  /** Messages that have not ended. */
  private waiting = 0;
  /** Messages waited too long for a sync or another sender, or too many did: they fail until there is one. */
  private waitedEnough = false;
  private cancelWait: (() => void) | null = null;

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly reading: Reading<SyncSettings>,
  ) {
    const account = reading.ok ? reading.settings.account : '';
    this.use = new AccountUse(RED, node.id, account, {
      ready: (engine, its) => this.accountReady(engine, its),
      failed: ({ key, params }) => this.fail(key, key, params),
      closes: () => this.accountCloses(),
      // Outcomes of entries come by the sync.
      recovered: () => undefined,
    });
    this.status = new StatusLine(RED, node);
    this.builderWords = wordsOf(RED, 'xandr-segment-builder');
    this.reader = reading.ok ? this.readerOf(reading.settings) : null;
  }

  start(): void {
    const { node, RED, reading } = this;
    node.on('input', (message, send, done) => this.input(message, send, done as Done));
    node.on('close', (removed: boolean, done: () => void) => void this.close(removed).then(done, done));
    noStatusOnceRemoved(node);
    if (!reading.ok) {
      this.fail('misconfigured', 'misconfigured', { reasons: problemsText(RED, reading.problems) });
    } else if (this.reader !== null) {
      this.status.show('waiting', 'connecting');
      // Reports of runs wait until the nodes behind this one exist.
      this.cancelStart = whenFlowsStarted(RED, () => this.use.join());
    }
  }

  private readerOf({ mapping, rows, rowsType }: SyncSettings): Reader | null {
    const inputs = typedInputsOf(this.RED, this.node);
    const { consent, consentType, consentVendor: vendor, consentPurposes: purposes } = mapping;
    const compiled = compileBuilder(mapping, inputs, tcStringReader({ vendor, purposes }));
    if (!compiled.ok) {
      const reasons = rowRejection(this.builderWords, {
        index: 0,
        row: null,
        issues: compiled.issues,
      }).message;
      this.fail('misconfigured', 'misconfigured', { reasons });
      return null;
    }
    return {
      builder: compiled.builder,
      rows: inputs(rows, rowsType),
      asksConsent: consent !== '' || consentType === 'item',
    };
  }

  // ── The account ─────────────────────────────────────────────────────────────────────────────────────────────

  private changed(): void {
    if (this.usable !== null) this.waitAnew();
    this.change.resolve(undefined);
    this.change = Promise.withResolvers();
  }

  private fail(key: string, status: string, params: Readonly<Record<string, string>> = {}): void {
    const problem = this.RED._(`error.${key}`, { ...params });
    const isNew = problem !== this.problem;
    this.problem = problem;
    this.status.show('stopped', status);
    if (isNew) this.node.error(problem);
    this.changed();
  }

  private accountReady(engine: MemberQueue, account: AccountNode): void {
    void this.life.run(async () => {
      await this.leave(this.running);
      if (this.closed) return;
      this.problem = null;
      await this.open(engine, account);
    });
  }

  private async open(engine: MemberQueue, account: AccountNode): Promise<void> {
    const { node, reading } = this;
    if (!reading.ok) return;
    if (!engine.durable) {
      this.fail('queue_memory', 'queue_kind');
      return;
    }
    const segment = { node, segment: segmentKeyOf(settingsOf(reading.settings).segment), sync: null };
    const other = claimSegment(engine, segment);
    if (other !== null) {
      this.fail('segment_taken', 'segment_taken', { node: other.name ?? other.id });
      return;
    }
    const unfollow = engine.onLease(() => void this.life.run(() => this.followLease(running)));
    const running: Running = { engine, account, segment, unfollow, members: null };
    this.running = running;
    await this.followLease(running);
  }

  /** Carries out the runs while this instance sends. Of a shared queue the lease comes and goes. */
  private async followLease(running: Running): Promise<void> {
    const { engine, segment } = running;
    if (this.running !== running) return;
    if (segment.sync?.isStarted !== true || running.members !== engine.sync) {
      await this.stopSync(running);
      // The node may have closed meanwhile.
      if (this.running !== running) return;
      if (engine.sync !== null) await this.startSync(running, engine.sync);
    }
    this.changed();
  }

  private async stopSync({ engine, account, segment }: Running): Promise<void> {
    this.cancelRetry();
    // While a start is tried again, the problem of the last try stays.
    if (engine.sync === null) this.problem = null;
    if (this.problem === null) this.status.follow({ engine, account, sync: null });
    await segment.sync?.close();
    segment.sync = null;
  }

  /** Tries until the queue is open; the status says what is wrong with it. */
  private async startSync(running: Running, members: MemberSync): Promise<void> {
    const { engine, account, segment } = running;
    const { reading, node } = this;
    if (!reading.ok) return;
    const sync = new SegmentSync({
      sync: members,
      source: { node: node.id, account: account.id },
      settings: settingsOf(reading.settings),
      listener: this.listener(),
      clock: systemClock,
    });
    // Before it starts, so that `leave` closes it.
    segment.sync = sync;
    running.members = members;
    const isOver = (): boolean => this.running !== running || engine.sync !== members;
    try {
      await members.opened;
      await formerSyncsEnded(engine, segment.segment);
      if (isOver()) return;
      await sync.start();
    } catch (error) {
      if (isOver()) return;
      this.fail('queue', 'trouble', { reason: shortenThrown(error) });
      this.cancelRetry = systemClock.after(
        startAgainMs,
        () => void this.life.run(() => this.followLease(running)),
      );
      return;
    }
    if (isOver()) return;
    this.problem = null;
    this.status.follow({ engine, account, sync });
  }

  /** Messages wait for the account that has the id after the deploy. */
  private accountCloses(): void {
    const { running } = this;
    this.running = null;
    this.problem = null;
    this.waitAnew();
    void this.life.run(() => this.leave(running));
    this.status.show('waiting', 'connecting');
  }

  private async leave(running: Running | null): Promise<void> {
    this.running = null;
    if (running === null) return;
    running.unfollow();
    this.cancelRetry();
    await releaseSegment(running.engine, running.segment);
  }

  private async close(removed: boolean): Promise<void> {
    this.closed = true;
    this.cancelStart();
    this.status.stop();
    this.waitAnew();
    // A step under way waits for the database: the next sync of the segment does too, but not Node-RED.
    const left = within(systemClock, longestCloseMs, this.leave(this.running));
    this.changed();
    await Promise.all([left, this.use.leave(!removed)]);
  }

  // ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────

  private input(message: Message, send: Send, done: Done): void {
    this.waiting += 1;
    // All that wait fail, the first ones too: an audience without its last rows could pass for a whole one.
    if (this.waiting > mostWaiting && this.usable === null) this.endWait();
    void this.turns.run(async () => {
      try {
        const running = await this.usableRunning();
        const { sync } = running.segment;
        if (sync?.isStarted === true) await this.take(sync, message, send);
        else this.tellStandby(running, message, send);
        done();
      } catch (error) {
        done(this.sentenceOf(error));
      }
      this.waiting -= 1;
      this.status.refresh();
    });
  }

  private async usableRunning(): Promise<Running> {
    for (;;) {
      if (this.closed) throw new NotTaken(this.RED._('error.not_taken'));
      if (this.problem !== null) throw new NotTaken(this.problem);
      const { usable } = this;
      if (usable !== null) return usable;
      if (this.waitedEnough) throw new NotTaken(this.whyNotUsable());
      this.cancelWait ??= systemClock.after(longestWaitMs, () => this.endWait());
      await this.change.promise;
    }
  }

  /** Null while neither this instance nor another one carries out the runs. */
  private get usable(): Running | null {
    const { running } = this;
    if (running === null) return null;
    const { engine, segment } = running;
    return segment.sync?.isStarted === true || engine.otherSender !== null ? running : null;
  }

  private endWait(): void {
    this.waitedEnough = true;
    this.changed();
  }

  private waitAnew(): void {
    this.waitedEnough = false;
    this.cancelWait?.();
    this.cancelWait = null;
  }

  private whyNotUsable(): string {
    const { running, RED } = this;
    if (running === null) return RED._('error.not_taken');
    const { state } = running.engine.stats();
    const login = running.engine.logins.state(running.account.id);
    const words = wordsOf(RED, 'xandr-instant-audience-out');
    const reason =
      state.kind === 'outbox' || state.kind === 'databaseAway'
        ? state.message
        : statusText(conditionOf(state, login, systemClock.monoMs()), words);
    return RED._('error.queue', { reason });
  }

  /** Another instance sends, and carries out the runs: says so, once for an audience. */
  private tellStandby({ engine }: Running, message: Message, send: Send): void {
    const part = readPart(message);
    const told = this.standbyToldOf;
    const isTold = part !== null && told !== null && (part.id === null || part.id === told.id);
    this.standbyToldOf = part === null || part.complete ? null : { id: part.id ?? told?.id ?? null };
    if (isTold || !isWired(this.node, 1)) return;
    const { topic, _msgid } = message;
    const sender = engine.otherSender ?? '';
    const payload = { status: 'standby', sender, message: this.RED._('run.standby', { sender }) };
    send([null, { ...(topic === undefined ? {} : { topic }), _msgid, payload }]);
  }

  private async take(sync: SegmentSync, message: Message, send: Send): Promise<void> {
    this.standbyToldOf = null;
    const part = readPart(message);
    if (message.error !== undefined && message.error !== null) {
      await sync.sourceFailed(reasonOf(message.error), part);
      return;
    }
    const control = this.controlOf(message);
    if (control === 'forget') await sync.forget();
    const value = await this.valueOf(message);
    const list = rowListOf(value, part !== null);
    if (list !== null) {
      await this.takeRows(sync, message, list, control, send);
    } else if (control === null) {
      throw new NotTaken(this.RED._('error.no_rows', { got: shorten(value) }));
    } else if (control !== 'forget') {
      await sync[control]();
    }
  }

  private controlOf({ control }: Message): Control | null {
    if (control === undefined || control === null) return null;
    const known = controls.find((each) => each === control);
    if (known === undefined)
      throw new NotTaken(this.RED._('error.control_unknown', { control: shorten(control) }));
    return known;
  }

  private async valueOf(message: Message): Promise<unknown> {
    const get = this.reader!.rows;
    const input = { path: 'rows', source: '', get };
    const value = await settle(evaluateInput(input, { message, item: undefined }));
    if (value instanceof Failed)
      throw new NotTaken(this.RED._('error.rows_failed', { reason: value.reason }));
    return value;
  }

  private async takeRows(
    sync: SegmentSync,
    message: Message,
    list: readonly unknown[],
    control: Control | null,
    send: Send,
  ): Promise<void> {
    const rows = new MessageRows(this.reader!, message, list, newSlices());
    const { topic, _msgid } = message;
    this.carried = topic === undefined ? { _msgid } : { _msgid, topic };
    await sync.take({
      part: readPart(message),
      options: {
        preview: control === 'preview',
        force: control === 'force',
        resend: control === 'resend',
      },
      rows: rows.read(),
    });
    if (rows.rejectedCount === 0) return;
    const rejected = rows.rejected.map((row) => rowRejection(this.builderWords, row));
    this.reject(rejected, rows.rejectedCount, send, (error) => {
      throw new NotTaken(error);
    });
  }

  /** On output 2, or as an error where nothing is wired to it. */
  private reject(
    rejected: readonly Rejection[],
    count: number,
    send: Send,
    fail: (error: string) => void,
  ): void {
    const first = rejected[0]!;
    const params = figuresOf({ number: count, index: first.index }, this.RED);
    if (!isWired(this.node, 1)) {
      fail(count === 1 ? first.message : this.RED._('error.rejected', { ...params, reason: first.message }));
      return;
    }
    const payload = rejected.map(({ entry }) => entry);
    send([null, { ...this.carried, payload, audience: { status: 'rejected', count, rejected } }]);
  }

  private sentenceOf(error: unknown): string {
    if (error instanceof NotTaken) return error.message;
    if (error instanceof NothingRefused) return this.RED._('error.nothing_refused');
    const reason = shortenThrown(error);
    return this.RED._(error instanceof QueueError ? 'error.queue' : 'error.unexpected', { reason });
  }

  // ── Reports ─────────────────────────────────────────────────────────────────────────────────────────────────

  private listener(): SyncListener {
    const send: Send = (messages) => this.node.send(messages);
    return {
      ended: (report) => send([this.messageOf(report), null]),
      refused: (report) => {
        if (isWired(this.node, 1)) send([null, this.messageOf(report)]);
        else this.node.error(problemOfRun(this.RED, report.refused), this.messageOf(report));
      },
      rejected: (entries) => {
        const told = entries.slice(0, mostTold).map(({ entry, code, message }, index) => {
          const words = wordsOf(this.RED, 'xandr-instant-audience-out');
          const text = textOr(words, `rejection.${code}`, { message }, () => message);
          const user = JSON.parse(`${userHead(entry)}]}`) as { user_id: string; domain?: string };
          return { index, entry: user, code, message: text, issues: [] };
        });
        this.reject(told, entries.length, send, (error) => this.node.error(error));
      },
    };
  }

  private messageOf(report: RunReport): NodeMessage {
    return { ...this.carried, payload: toldReport(this.RED, report) };
  }
}

const startAgainMs = 5_000;
/** Longest wait for a step under way when the node closes: Node-RED waits 15 s. */
const longestCloseMs = 5_000;
/** How long messages wait for a sync or another sender, and how many do. */
const longestWaitMs = 30_000;
const mostWaiting = 10_000;
/** Rejected entries in one message. */
const mostTold = 1_000;

function settingsOf(settings: SyncSettings): ConstructorParameters<typeof SegmentSync>[0]['settings'] {
  const { mapping, mode, refresh, maxRemovals, maxRemovalsUnit, emptyIsError, preview } = settings;
  const { by, segment, member } = mapping.segments[0]!;
  const name: SegmentName =
    by === 'id' ? { seg_id: Number(segment) } : { seg_code: segment, member_id: Number(member) };
  return {
    segment: name,
    removes: mode === 'mirror',
    refreshPercent: refresh,
    maxRemovals: { number: maxRemovals, unit: maxRemovalsUnit === '%' ? 'percent' : 'users' },
    emptyIsError,
    preview,
    runTimeoutMs: settings.runTimeoutMinutes * 60_000,
  };
}

/** Of an error that a message carries: a text, or an object of a catch node or of Node.js. */
function reasonOf(error: unknown): string {
  const text = isObject(error) && typeof error.message === 'string' ? error.message : error;
  return typeof text === 'string' ? shortenThrown(new Error(text)) : shorten(text);
}
