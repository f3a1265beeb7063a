// Runtime of the audience sync: the life of the sync of its segment, and which messages wait for it.

import type { Node, NodeAPI, NodeDef } from 'node-red';
import { systemClock, within } from '../../src/clock';
import { tcStringReader } from '../../src/consent/index';
import type { MemberQueue } from '../../src/delivery/index';
import { compileBuilder, shortenThrown } from '../../src/entry/index';
import { InTurn } from '../../src/in-turn';
import { segmentKeyOf, SegmentSync, type MemberSync, type SegmentName } from '../../src/sync/index';
import type { AccountNode } from '../account/account-api';
import { AccountUse } from '../shared/account-use';
import { noStatusOnceRemoved } from '../shared/deployed';
import { whenFlowsStarted } from '../shared/flow-start';
import type { Message } from '../shared/message-copy';
import { conditionOf, statusText } from '../shared/queue-state';
import { problemsText, type Reading, type Saved } from '../shared/saved';
import { typedInputsOf } from '../shared/typed-input';
import { readSync, type SyncSettings } from './schema';
import { StatusLine } from './status-line';
import { NotTaken, sentenceOf, SyncMessages, type Send } from './sync-messages';
import { claimSegment, formerSyncsEnded, releaseSegment, type SyncedByNode } from './synced-segments';
import { rowRejection, wordsOf } from './words';

/** A text: the debug sidebar cuts the sentence of an Error. */
type Done = (error?: string) => void;

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

class SyncNode {
  private readonly use: AccountUse;
  private readonly status: StatusLine;
  /** Null if the settings have problems. */
  private readonly messages: SyncMessages | null;
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
    this.messages = reading.ok ? this.messagesOf(reading.settings) : null;
  }

  start(): void {
    const { node, RED, reading } = this;
    node.on('input', (message, send, done) => this.input(message, send, done as Done));
    node.on('close', (removed: boolean, done: () => void) => void this.close(removed).then(done, done));
    noStatusOnceRemoved(node);
    if (!reading.ok) {
      this.fail('misconfigured', 'misconfigured', { reasons: problemsText(RED, reading.problems) });
    } else if (this.messages !== null) {
      this.status.show('waiting', 'connecting');
      // Reports of runs wait until the nodes behind this one exist.
      this.cancelStart = whenFlowsStarted(RED, () => this.use.join());
    }
  }

  private messagesOf({ mapping, rows, rowsType }: SyncSettings): SyncMessages | null {
    const builderWords = wordsOf(this.RED, 'xandr-segment-builder');
    const inputs = typedInputsOf(this.RED, this.node);
    const { consent, consentType, consentVendor: vendor, consentPurposes: purposes } = mapping;
    const compiled = compileBuilder(mapping, inputs, tcStringReader({ vendor, purposes }));
    if (!compiled.ok) {
      const reasons = rowRejection(builderWords, {
        index: 0,
        row: null,
        issues: compiled.issues,
      }).message;
      this.fail('misconfigured', 'misconfigured', { reasons });
      return null;
    }
    const reader = {
      builder: compiled.builder,
      rows: inputs(rows, rowsType),
      asksConsent: consent !== '' || consentType === 'item',
    };
    return new SyncMessages(this.RED, this.node, reader, builderWords);
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
      listener: this.messages!.listener(),
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
        if (sync?.isStarted === true) await this.messages!.take(sync, message, send);
        else this.messages!.tellStandby(running.engine.otherSender ?? '', message, send);
        done();
      } catch (error) {
        done(sentenceOf(this.RED, error));
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
}

const startAgainMs = 5_000;
/** Longest wait for a step under way when the node closes: Node-RED waits 15 s. */
const longestCloseMs = 5_000;
/** How long messages wait for a sync or another sender, and how many do. */
const longestWaitMs = 30_000;
const mostWaiting = 10_000;

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
