// Runtime of the usage node: reads the account's usage statistics, for messages and every hour, and reports them.

import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { InTurn } from '../../src/in-turn';
import {
  readEventTime,
  shorten,
  shortenThrown,
  evaluateInput,
  Failed,
  settle,
  type CompiledInput,
} from '../../src/entry/index';
import type { MemberQueue } from '../../src/delivery/index';
import { HourRing } from '../../src/queue/index';
import {
  checkRange,
  rangeOfFullHours,
  rangeUntilNow,
  type Range,
  usageRingName,
  runUsage,
  type UsageRun,
} from '../../src/usage/index';
import { type ReadFailure, readWithToken } from '../../src/service/index';
import { AccountUse } from '../shared/account-use';
import { CalmStatus, looks, type Look } from '../shared/calm-status';
import { noStatusOnceRemoved } from '../shared/deployed';
import type { Message } from '../shared/message-copy';
import { languageOf, short } from '../shared/figures';
import { problemsText, readSaved, type Reading, type Saved } from '../shared/saved';
import { typedInputsOf } from '../shared/typed-input';
import { figureIn, reportOf, told } from './report';
import { everyHour, reporter, systemHourlyClock } from './schedule';
import { usageSchema, type UsageSettings } from './schema';

type Send = (messages: (NodeMessage | NodeMessage[] | null)[]) => void;
/** Errors are texts, since the debug sidebar shows only 30 characters of an error object. */
type Done = (error?: string) => void;

/** The reason why a report fails; its sentence is below `error`. */
class NoReport extends Error {}

/** Messages that wait for a report before theirs. */
const mostWaiting = 100;

export = (RED: NodeAPI): void => {
  function Usage(this: Node, config: NodeDef & Saved): void {
    RED.nodes.createNode(this, config);
    const reading = readSaved(usageSchema(config), config);
    new UsageNode(RED, this, reading.ok ? reading.settings : defaultSettings).start(reading);
  }

  RED.nodes.registerType('xandr-audience-usage', Usage);
};

/** Of an unusable node. */
const defaultSettings = (readSaved(usageSchema({}), {}) as { settings: UsageSettings }).settings;

class UsageNode {
  private readonly use: AccountUse;
  private readonly status: CalmStatus;
  private engine: MemberQueue | null = null;
  private problem: Error | null = null;
  private closed = false;
  /** One report after another. */
  private readonly turns = new InTurn();
  private waiting = 0;
  /** Reports by itself are complete up to this epoch ms, and begin there; null before the first hour is over. */
  private doneMs: number | null = null;
  private endSchedule = (): void => undefined;
  /** Reports that were asked for before the account's engine was there. */
  private whenReady: () => void = () => undefined;
  private ready = this.untilReady();

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly settings: UsageSettings,
  ) {
    this.use = new AccountUse(RED, node.id, settings.account, {
      ready: (engine) => this.accountReady(engine),
      failed: ({ key, params }) => this.fail(key, params),
      closes: () => this.accountCloses(),
      // This node appends no entries, so it has no late outcomes.
      recovered: () => undefined,
    });
    this.status = new CalmStatus(node);
  }

  start(reading: Reading<UsageSettings>): void {
    const { node, settings } = this;
    node.on('input', (message, send, done) => this.input(message, send, done as Done));
    node.on('close', (removed: boolean, done: () => void) => void this.close(removed).then(done, done));
    noStatusOnceRemoved(node);
    if (!reading.ok) {
      this.fail('misconfigured', { reasons: problemsText(this.RED, reading.problems) });
      return;
    }
    this.show('waiting', 'connecting');
    this.use.join();
    if (settings.schedule === 'hourly')
      this.endSchedule = everyHour(() => this.byItself(), systemHourlyClock, Math.random);
  }

  private untilReady(): Promise<void> {
    return new Promise((resolve) => (this.whenReady = resolve));
  }

  /** Reports wait for the account that has the id after the deploy. */
  private accountCloses(): void {
    const { whenReady } = this;
    this.ready = this.untilReady();
    void this.ready.then(whenReady);
    this.engine = null;
    this.show('waiting', 'connecting');
  }

  private accountReady(engine: MemberQueue): void {
    this.engine = engine;
    this.problem = null;
    this.show('idle', 'idle');
    this.whenReady();
  }

  private fail(key: string, params: Record<string, string | number> = {}): void {
    this.problem = new NoReport(this.RED._(`error.${key}`, params));
    this.show('stopped', key);
    this.node.error(this.problem.message);
    this.whenReady();
  }

  private show(look: Look, key: string, params: Record<string, string | number> = {}): void {
    if (this.closed) return;
    const status = this.RED._(`status.${key}`, params);
    const inSandbox = this.engine !== null && this.use.account?.isSandbox === true;
    const text = inSandbox ? this.RED._('status.sandbox', { status }) : status;
    this.status.show(() => ({ ...looks[look], text }));
  }

  private async close(removed: boolean): Promise<void> {
    this.closed = true;
    this.endSchedule();
    this.status.stop();
    this.whenReady();
    await this.use.leave(!removed);
  }

  // ── Reports ─────────────────────────────────────────────────────────────────────────────────────────────────

  private input(message: Message, send: Send, done: Done): void {
    if (this.waiting >= mostWaiting) {
      done(this.RED._('error.too_many', { most: mostWaiting }));
      return;
    }
    this.inTurn(async () => {
      try {
        await this.report(message, send, await this.rangeFor(message));
        done();
      } catch (error) {
        done(this.toldFailure(error).message);
      }
    });
  }

  /** Called after each hour. */
  private byItself(): void {
    // Later reports make up for a failed one, including the first after a start.
    this.doneMs ??= rangeOfFullHours('hour', Date.now(), null).fromMs;
    // The next report makes up for one that is still under way.
    if (this.waiting >= mostWaiting) return;
    this.inTurn(async () => {
      try {
        const range = await this.rangeByItself();
        await this.ready;
        const who = reporter(this.engine?.stats().state ?? null);
        if (who === 'here') await this.report({} as Message, (messages) => this.node.send(messages), range);
        if (who === 'unknown') return;
        this.doneMs = range.toMs + 1000;
        if (who === 'elsewhere') this.show('idle', 'standby');
      } catch (error) {
        this.node.error(this.toldFailure(error).message);
      }
    });
  }

  private inTurn(work: () => Promise<void>): void {
    this.waiting += 1;
    void this.turns.run(work).finally(() => (this.waiting -= 1));
  }

  private async report(message: Message, send: Send, range: Range): Promise<void> {
    await this.ready;
    if (this.problem !== null) throw this.problem;
    this.show('working', 'reading');
    const { run, queued, member } = await this.read(range);
    if (this.closed) throw new NoReport(this.RED._('error.closed'));
    const findings = run.findings.map((finding) => told(this.RED, finding));
    const of = (payload: unknown): NodeMessage => {
      const { payload: _before, ...rest } = message;
      return { ...this.RED.util.cloneMessage(rest), payload };
    };
    const messages = findings.map((finding) => of(finding));
    message.payload = reportOf(run, { member, range, queued }, findings);
    this.showResult(run);
    send([message, messages]);
  }

  private async read(range: Range): Promise<{ run: UsageRun; queued: number; member: number }> {
    const { engine } = this;
    const { account } = this.use;
    const connection = account?.connection() ?? null;
    if (account === null || engine === null || connection === null)
      throw new NoReport(this.RED._('error.closed'));
    const { client, keeper } = connection;
    const member = Number(account.member);
    const outcome = await runUsage(
      {
        read: (query) => readWithToken(keeper, (token) => client.usage(query, token)),
        sent: engine.sent,
        ring: new HourRing(engine.meta, usageRingName),
      },
      { memberId: member, ...range, nowMs: Date.now(), aggregate: this.settings.detail === 'aggregated' },
    );
    if (outcome.kind !== 'read') throw this.refused(outcome);
    return { run: outcome.value, queued: engine.counters.waiting, member };
  }

  private showResult({ report, findings }: UsageRun): void {
    const { matchRate } = report.total;
    const figure = figureIn(this.RED);
    const params = {
      rate: matchRate === null ? '–' : figure(matchRate),
      findings: short(findings.length, languageOf(this.RED)),
    };
    this.show(findings.length > 0 ? 'waiting' : 'idle', findings.length > 0 ? 'findings' : 'read', params);
  }

  private refused(failure: ReadFailure): NoReport {
    const reason = failure.message;
    const key = failure.kind === 'rateLimited' ? 'rate_limited' : 'not_read';
    return new NoReport(this.RED._(`error.${key}`, { reason }));
  }

  private toldFailure(error: unknown): Error {
    if (this.problem === null) this.show('stopped', 'failed');
    if (error instanceof NoReport) return error;
    return new Error(this.RED._('error.unexpected', { reason: shortenThrown(error) }));
  }

  // ── Ranges ──────────────────────────────────────────────────────────────────────────────────────────────────

  private rangeFor(message: Message): Promise<Range> | Range {
    const { range } = this.settings;
    return range !== 'custom' ? rangeUntilNow(range, Date.now()) : this.customRange(message);
  }

  private rangeByItself(): Promise<Range> | Range {
    const { range } = this.settings;
    if (range !== 'custom') return rangeOfFullHours(range, Date.now(), this.doneMs);
    return this.customRange({} as Message);
  }

  private async customRange(message: Message): Promise<Range> {
    const { from, fromType, to, toType } = this.settings;
    const fromMs = await this.time('from', from, fromType, message);
    if (fromMs === null) throw new NoReport(this.RED._('error.from_missing'));
    const toMs = to === '' ? null : await this.time('to', to, toType, message);
    const checked = checkRange(fromMs, toMs ?? Date.now(), Date.now());
    if (typeof checked === 'string') throw new NoReport(this.RED._(`error.${checked}`));
    return checked;
  }

  /** Epoch ms; null when there is no value. */
  private async time(
    path: 'from' | 'to',
    value: string,
    type: string,
    message: Message,
  ): Promise<number | null> {
    const field = this.RED._(`label.${path}`);
    const wrong = (reason: string): NoReport => new NoReport(this.RED._('error.time', { field, reason }));
    let get: CompiledInput;
    try {
      get = typedInputsOf(this.RED, this.node)(value, type);
    } catch (error) {
      throw wrong(shortenThrown(error));
    }
    const found = await settle(evaluateInput({ path, source: path, get }, { message, item: undefined }));
    if (found instanceof Failed) throw wrong(found.reason);
    // A typed number, and an environment variable, are text.
    const given = typeof found === 'string' && /^\d{12,14}$/.test(found) ? Number(found) : found;
    const time = readEventTime(given);
    if (typeof time === 'object' && time !== null)
      throw wrong(this.RED._('error.time_form', { got: shorten(found) }));
    return time;
  }
}
