// Runtime of the audience sync: hands the rows of messages to the sync of its segment, and reports runs.

import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { systemClock } from '../../src/clock';
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
  SegmentSync,
  type MemberSync,
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
import { problemsText, type Reading, type Saved } from '../shared/saved';
import { newSlices } from '../shared/slices';
import { typedInputsOf } from '../shared/typed-input';
import { textOr, type Rejection, type Words } from '../shared/words';
import { MessageRows, rowListOf } from './rows';
import { readSync, type SyncSettings } from './schema';
import { StatusLine } from './status-line';
import { claimSegment, releaseSegment } from './synced-segments';
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

interface Running {
  readonly engine: MemberQueue;
  readonly sync: SegmentSync;
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
  private whenUsable: () => void = () => undefined;
  private usable = this.untilUsable();
  /** Opening and closing of syncs, one after the other. */
  private readonly life = new InTurn();
  private cancelStart = (): void => undefined;
  /** Of the last message of the open run, for its report. */
  private carried: object = {};

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

  private untilUsable(): Promise<void> {
    return new Promise((resolve) => (this.whenUsable = resolve));
  }

  private fail(key: string, status: string, params: Readonly<Record<string, string>> = {}): void {
    this.problem = this.RED._(`error.${key}`, { ...params });
    this.status.show('stopped', status);
    this.node.error(this.problem);
    this.whenUsable();
  }

  private accountReady(engine: MemberQueue, account: AccountNode): void {
    void this.life.run(async () => {
      await this.stopSync();
      if (!this.closed) await this.open(engine, account);
    });
  }

  private async open(engine: MemberQueue, account: AccountNode): Promise<void> {
    const { node, reading } = this;
    const { sync: members } = engine;
    if (!reading.ok) return;
    if (members === null) {
      this.fail(engine.durable ? 'queue_shared' : 'queue_memory', 'queue_kind');
      return;
    }
    const sync = new SegmentSync({
      sync: members,
      source: { node: node.id, account: account.id },
      settings: settingsOf(reading.settings),
      listener: this.listener(),
      clock: systemClock,
    });
    const other = claimSegment(engine, { node, sync });
    if (other !== null) {
      this.fail('segment_taken', 'segment_taken', { node: other.name ?? other.id });
      return;
    }
    this.running = { engine, sync };
    await this.startSync(engine, members, sync, account);
  }

  /** Tries until the queue is open; the status says what is wrong with it. */
  private async startSync(
    engine: MemberQueue,
    members: MemberSync,
    sync: SegmentSync,
    account: AccountNode,
  ): Promise<void> {
    this.status.follow({ engine, account, sync });
    await members.opened;
    if (this.closed || this.running?.sync !== sync) return;
    try {
      await sync.start();
    } catch (error) {
      this.fail('queue', 'trouble', { reason: shortenThrown(error) });
      return;
    }
    this.problem = null;
    this.whenUsable();
  }

  /** Messages wait for the account that has the id after the deploy. */
  private accountCloses(): void {
    const { whenUsable } = this;
    this.usable = this.untilUsable();
    void this.usable.then(whenUsable);
    this.problem = null;
    void this.life.run(() => this.stopSync());
    this.status.show('waiting', 'connecting');
  }

  private async stopSync(): Promise<void> {
    const { running, node } = this;
    this.running = null;
    if (running === null) return;
    releaseSegment(running.engine, { node, sync: running.sync });
    await running.sync.close();
  }

  private async close(removed: boolean): Promise<void> {
    this.closed = true;
    this.cancelStart();
    this.status.stop();
    this.whenUsable();
    await Promise.all([this.stopSync(), this.use.leave(!removed)]);
  }

  // ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────

  private input(message: Message, send: Send, done: Done): void {
    void this.turns.run(async () => {
      try {
        const { sync } = await this.usableSync();
        await this.take(sync, message, send);
        done();
      } catch (error) {
        done(this.sentenceOf(error));
      }
      this.status.refresh();
    });
  }

  private async usableSync(): Promise<Running> {
    await this.usable;
    if (this.closed) throw new NotTaken(this.RED._('error.not_taken'));
    if (this.problem !== null) throw new NotTaken(this.problem);
    if (this.running === null) throw new NotTaken(this.RED._('error.not_taken'));
    return this.running;
  }

  private async take(sync: SegmentSync, message: Message, send: Send): Promise<void> {
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
