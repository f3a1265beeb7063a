// Messages of the audience sync: takes their rows and controls, and reports runs and rejections.

import type { Node, NodeAPI, NodeMessage } from 'node-red';
import {
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
import { QueueError } from '../../src/queue/index';
import {
  NothingRefused,
  readPart,
  type Part,
  type RunReport,
  type SegmentSync,
  type SyncListener,
} from '../../src/sync/index';
import { isWired } from '../shared/deployed';
import { figuresOf } from '../shared/figures';
import type { Message } from '../shared/message-copy';
import { newSlices } from '../shared/slices';
import { textOr, type Rejection, type Words } from '../shared/words';
import { MessageRows, rowListOf } from './rows';
import { problemOfRun, rowRejection, toldReport, wordsOf } from './words';

export type Send = (messages: (NodeMessage | null)[]) => void;

/** Why a message cannot be taken, in words. */
export class NotTaken extends Error {}

export interface Reader {
  readonly builder: Builder;
  readonly rows: CompiledInput;
  readonly asksConsent: boolean;
}

const controls = ['preview', 'force', 'resend', 'forget'] as const;
type Control = (typeof controls)[number];

/** Rejected entries in one message. */
const mostTold = 1_000;

export class SyncMessages {
  /** Of the last message of the open run, for its report. */
  private carried: object = {};
  /** The open audience of which the flow was told that another instance carries out the runs; null for none. */
  private standbyToldOf: Pick<Part, 'id'> | null = null;

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly reader: Reader,
    private readonly builderWords: Words,
  ) {}

  /** Another instance sends, and carries out the runs: says so, once for an audience. */
  tellStandby(sender: string, message: Message, send: Send): void {
    const part = readPart(message);
    const told = this.standbyToldOf;
    const isTold = part !== null && told !== null && (part.id === null || part.id === told.id);
    this.standbyToldOf = part === null || part.complete ? null : { id: part.id ?? told?.id ?? null };
    if (isTold || !isWired(this.node, 1)) return;
    const { topic, _msgid } = message;
    const payload = { status: 'standby', sender, message: this.RED._('run.standby', { sender }) };
    send([null, { ...(topic === undefined ? {} : { topic }), _msgid, payload }]);
  }

  /** Rejects with NotTaken, and as `SegmentSync` and the queue do. */
  async take(sync: SegmentSync, message: Message, send: Send): Promise<void> {
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
    const get = this.reader.rows;
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
    const rows = new MessageRows(this.reader, message, list, newSlices());
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

  // ── Reports ─────────────────────────────────────────────────────────────────────────────────────────────────

  listener(): SyncListener {
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

/** Why a message was not taken, in words. */
export function sentenceOf(RED: NodeAPI, error: unknown): string {
  if (error instanceof NotTaken) return error.message;
  if (error instanceof NothingRefused) return RED._('error.nothing_refused');
  const reason = shortenThrown(error);
  return RED._(error instanceof QueueError ? 'error.queue' : 'error.unexpected', { reason });
}

/** Of an error that a message carries: a text, or an object of a catch node or of Node.js. */
function reasonOf(error: unknown): string {
  const text = isObject(error) && typeof error.message === 'string' ? error.message : error;
  return typeof text === 'string' ? shortenThrown(new Error(text)) : shorten(text);
}
