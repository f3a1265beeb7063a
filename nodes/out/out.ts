// The out node's runtime: hands a message's entries to the account's engine, and reports what became of them.

import type { Node, NodeAPI, NodeDef, NodeMessage, NodeMessageInFlow } from 'node-red';
import { evaluateInput, Later, type CompiledInput } from '../../src/audience/typed-inputs';
import { checkEntry } from '../../src/audience/check';
import type { CheckedEntry } from '../../src/audience/entry';
import { readEntries } from '../../src/audience/read-input';
import { entryBody } from '../../src/audience/serialise';
import { dryRun } from '../../src/delivery/dry-run';
import type { Engine, Recovered } from '../../src/delivery/engine';
import type { Summary, TicketEnd } from '../../src/delivery/tickets';
import type { AccountNode } from '../account/account-api';
import type { Problem } from '../account/checks';
import { InOrder } from '../shared/in-order';
import { typedInputsOf } from '../shared/typed-input';
import { issueText, rejection, textOr, type Rejection } from '../shared/words';
import { StatusLine } from './status-line';

type Message = NodeMessageInFlow & Record<string, unknown>;
type Send = (messages: (NodeMessage | null)[]) => void;
type Done = (error?: Error) => void;
type WiredNode = Node & { readonly wires?: readonly (readonly string[])[] };

interface OutDef extends NodeDef {
  account?: string;
  input?: string;
  inputType?: string;
  completeOn?: string;
  dryRun?: boolean | string;
}

const statusEveryMs = 1000;

export = (RED: NodeAPI): void => {
  function Out(this: Node, config: OutDef): void {
    RED.nodes.createNode(this, config);
    new OutNode(RED, this, config).start();
  }

  RED.nodes.registerType('instant-audience-out', Out);
};

/** Where a message's end is told. */
interface Delivery {
  readonly message: Message;
  readonly send: Send;
  readonly done: Done;
  /** What was in the message, for the rejected. */
  readonly entries: readonly unknown[];
  /** Rejected before anything was queued. */
  readonly rejected: readonly Rejection[];
}

class OutNode {
  private readonly account: AccountNode | null;
  private readonly read: CompiledInput | Error;
  private readonly path: string;
  private readonly inOrder = new InOrder();
  private readonly status: StatusLine;
  private engine: Engine | null = null;
  private problem: Problem | null = null;
  /** What came before the account's engine was there. */
  private readonly early: (() => void)[] = [];

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: WiredNode,
    private readonly config: OutDef,
  ) {
    this.account = this.findAccount();
    this.status = new StatusLine(RED, node, this.dryRun);
    const { input = 'payload', inputType = 'msg' } = config;
    this.path = `${inputType}.${input}`;
    this.read = this.compileInput(input, inputType);
  }

  start(): void {
    const { node, account } = this;
    node.on('input', (message, send, done) => this.input(message as Message, send, onceOnly(done)));
    node.on('close', (done: () => void) => {
      this.status.stop();
      if (account === null) done();
      else void account.leave(node.id).then(done, done);
    });
    if (this.read instanceof Error) {
      this.fail({ key: 'error.input_invalid', params: { reason: this.read.message } });
      return;
    }
    if (account === null) {
      this.fail({ key: this.config.account ? 'error.account_disabled_or_missing' : 'error.no_account' });
      return;
    }
    this.status.connecting();
    account.join(node.id, (ready) => {
      if ('key' in ready) this.fail({ key: 'error.account', params: { reason: this.accountWords(ready) } });
      else this.ready(ready, account);
    });
  }

  private get dryRun(): boolean {
    return this.config.dryRun === true || this.config.dryRun === 'true';
  }

  private findAccount(): AccountNode | null {
    const { account } = this.config;
    if (account === undefined || account === '') return null;
    const found = this.RED.nodes.getNode(account) as AccountNode | null | undefined;
    return typeof found?.join === 'function' ? found : null;
  }

  private compileInput(input: string, type: string): CompiledInput | Error {
    try {
      return typedInputsOf(this.RED, this.node)(input, type);
    } catch (error) {
      return toError(error);
    }
  }

  /** The account's words are in the account's own file. */
  private accountWords(problem: Problem): string {
    const key = `@instant-audience/node-red-xandr/instant-audience-account:${problem.key}`;
    return textOr(this.RED, key, { ...problem.params }, () => problem.key);
  }

  private fail(problem: Problem): void {
    this.problem = problem;
    this.status.problem(problem.key.replace('error.', 'status.'));
    this.node.error(this.words(problem.key, problem.params));
    for (const call of this.early.splice(0)) call();
  }

  private ready(engine: Engine, account: AccountNode): void {
    this.engine = engine;
    engine.onRecovered(this.node.id, (recovered) => this.recovered(recovered));
    this.status.follow(() => engine.stats(), engine.durable, account.warnAfterMs, statusEveryMs);
    for (const call of this.early.splice(0)) call();
  }

  private words(key: string, params: Problem['params'] = {}): string {
    return this.RED._(key, params);
  }

  // ── Input ───────────────────────────────────────────────────────────────────────────────────────────────────

  private input(message: Message, send: Send, done: Done): void {
    try {
      if (this.engine === null && this.problem === null)
        this.early.push(() => this.input(message, send, done));
      else if (this.problem !== null) done(new Error(this.words(this.problem.key, this.problem.params)));
      else if (message['control'] !== undefined) this.control(message['control'], done);
      else this.takeMessage(message, send, done);
    } catch (error) {
      done(this.unexpected(error));
    }
  }

  private control(control: unknown, done: Done): void {
    switch (control) {
      case 'flush':
        this.engine?.flush();
        break;
      case 'pause':
        this.engine?.pause();
        break;
      case 'resume':
        this.engine?.resume();
        break;
      default:
        done(new Error(this.words('error.control_unknown', { control: String(control).slice(0, 40) })));
        return;
    }
    this.status.refresh();
    done();
  }

  private takeMessage(message: Message, send: Send, done: Done): void {
    const read = this.read as CompiledInput;
    const value = evaluateInput(
      { path: this.path, source: this.path, get: read },
      { message, item: undefined },
    );
    const found = value instanceof Later ? value.value : value;
    this.inOrder.deliver<unknown>(found, (input) => {
      try {
        this.takeInput(input, message, send, done);
      } catch (error) {
        done(this.unexpected(error));
      }
    });
  }

  private takeInput(input: unknown, message: Message, send: Send, done: Done): void {
    const result = readEntries(input, this.path);
    if (!result.ok) {
      done(new Error(issueText(this.RED, 'out', result.issue)));
      return;
    }
    const { entries } = result;
    const valid: CheckedEntry[] = [];
    const indexes: number[] = [];
    const rejected: Rejection[] = [];
    entries.forEach((entry, index) => {
      const checked = checkEntry(entry);
      if (checked.ok) {
        valid.push(checked.entry);
        indexes.push(index);
      } else rejected.push(rejection(this.RED, 'out', index, entry, checked.issues));
    });
    const delivery: Delivery = { message, send, done, entries, rejected };
    if (valid.length === 0) this.finish(delivery, null, []);
    else if (this.dryRun) this.finishDryRun(delivery, valid);
    else this.submit(delivery, valid, rejected.length === 0 ? null : indexes);
  }

  private submit(
    delivery: Delivery,
    entries: readonly CheckedEntry[],
    indexes: readonly number[] | null,
  ): void {
    this.engine!.submit({
      source: { node: this.node.id, account: this.config.account! },
      entries,
      indexes,
      completeOn: this.config.completeOn === 'queued' ? 'queued' : 'accepted',
      onEnd: (end) => {
        try {
          this.ended(delivery, end);
        } catch (error) {
          delivery.done(this.unexpected(error));
        }
      },
    });
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  private ended(delivery: Delivery, end: TicketEnd): void {
    switch (end.kind) {
      case 'settled': {
        const rejected = end.rejections.map(({ index, code, message }): Rejection => {
          const text = textOr(this.RED, `rejection.${code}`, { message }, () => message);
          return { index, entry: delivery.entries[index], code, message: text, issues: [] };
        });
        const accepted = end.summary.accepted + end.summary.superseded + end.summary.expired;
        this.finish(delivery, accepted > 0 ? { ...end.summary, status: 'accepted' } : null, rejected);
        return;
      }
      case 'queued':
        this.status.completedQueued(end.reason);
        this.finish(delivery, { ...end.summary, status: 'queued' }, []);
        return;
      case 'parked':
        delivery.done();
        return;
      case 'failed': {
        const params = { ...end.params, account: this.account?.accountName ?? '' };
        delivery.done(new Error(textOr(this.RED, `error.${end.code}`, params, () => end.message)));
      }
    }
  }

  /** Ends a message: what went through on the first output, what was rejected on the second or as an error. */
  private finish(
    delivery: Delivery,
    accepted: (Summary & { status: string }) | null,
    later: readonly Rejection[],
  ): void {
    const { message, send, done } = delivery;
    const rejected = [...delivery.rejected, ...later].sort((a, b) => a.index - b.index);
    const wired = (this.node.wires?.[1]?.length ?? 0) > 0;
    const refused =
      rejected.length > 0 && wired ? this.rejectedMessage(message, accepted === null, rejected) : null;
    if (accepted !== null) message['audience'] = accepted;
    if (accepted !== null || refused !== null) send([accepted === null ? null : message, refused]);
    if (rejected.length === 0 || wired) done();
    else done(new Error(this.rejectedText(rejected, delivery.entries.length)));
  }

  /** The message itself when it goes out only here, else a clone. */
  private rejectedMessage(message: Message, alone: boolean, rejected: readonly Rejection[]): Message {
    const copy = alone ? message : this.RED.util.cloneMessage(message);
    copy['audience'] = { status: 'rejected', rejected };
    return copy;
  }

  private rejectedText(rejected: readonly Rejection[], total: number): string {
    const first = rejected[0]!;
    if (total === 1) return first.message;
    const params = { rejected: rejected.length, total, index: first.index, reason: first.message };
    return this.words('error.rejected', params);
  }

  private finishDryRun(delivery: Delivery, entries: readonly CheckedEntry[]): void {
    const requests = dryRun(entries, Date.now());
    const { message } = delivery;
    const refused = delivery.rejected;
    const wired = (this.node.wires?.[1]?.length ?? 0) > 0;
    const copy = refused.length > 0 && wired ? this.rejectedMessage(message, false, refused) : null;
    message['audience'] = { status: 'dry run', entries: entries.length, requests };
    delivery.send([message, copy]);
    if (refused.length === 0 || wired) delivery.done();
    else delivery.done(new Error(this.rejectedText(refused, delivery.entries.length)));
  }

  /** Entries that ended without their message: after a restart, or when the message was done at queued. */
  private recovered(recovered: readonly Recovered[]): void {
    const accepted = recovered.filter(({ end }) => end !== 'rejected');
    const rejected = recovered.filter(({ end }) => end === 'rejected');
    if (accepted.length > 0) {
      const count = (end: Recovered['end']): number => accepted.filter((each) => each.end === end).length;
      const audience = {
        status: 'accepted',
        recovered: true,
        entries: accepted.length,
        users: new Set(accepted.map(({ entry }) => entry.userKey)).size,
        associations: accepted.reduce((sum, { entry }) => sum + entry.blocks.length, 0),
        accepted: count('accepted'),
        superseded: count('superseded'),
        expired: count('expired'),
      };
      this.node.send([{ payload: accepted.map(plainEntry), audience } as NodeMessage, null]);
    }
    if (rejected.length > 0) this.recoveredRejected(rejected);
  }

  private recoveredRejected(recovered: readonly Recovered[]): void {
    const entries = recovered.map(plainEntry);
    const rejected = recovered.map(({ rejection: reason }, index) => ({
      index,
      entry: entries[index],
      code: reason?.code ?? '',
      message: reason?.message ?? '',
      issues: [],
    }));
    const message = {
      payload: entries,
      audience: { status: 'rejected', recovered: true, rejected },
    } as NodeMessage;
    if ((this.node.wires?.[1]?.length ?? 0) > 0) this.node.send([null, message]);
    else this.node.error(this.rejectedText(rejected, rejected.length), message);
  }

  private unexpected(error: unknown): Error {
    return new Error(this.words('error.unexpected', { reason: toError(error).message }));
  }
}

function plainEntry({ entry }: Recovered): unknown {
  return JSON.parse(entryBody(entry));
}

/** Whatever happens, a message is done once. */
function onceOnly(done: Done): Done {
  let called = false;
  return (error) => {
    if (called) return;
    called = true;
    if (error === undefined) done();
    else done(error);
  };
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
