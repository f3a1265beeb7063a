// Deployed segment builder, for the routes of its form and for the erasure of users: its last message, as text and in
// memory only, and its account.

import type { Node } from 'node-red';
import { mentions } from '../../src/delivery/index';
import { boundedJson } from '../../src/entry/index';
import { deployedNodes } from '../shared/deployed';

export const builderType = 'xandr-segment-builder';

export interface BuilderNode extends Node {
  readonly lastMessage: LastMessage;
  /** The account that it names, by node id; '' for none. Behind a variable only the deployed node knows it. */
  readonly accountId: string;
}

/** Deletes the user from the stored last message. */
export function forgetLastMessagesOf(userId: string): void {
  const named = mentions(userId);
  for (const { lastMessage } of deployedNodes<BuilderNode>(builderType)) lastMessage.forget(named);
}

export interface KeptMessage {
  /** JSON; null for a message that is too large. */
  readonly text: string | null;
  /** Epoch ms. */
  readonly atMs: number;
}

/** In characters; a form cannot show a larger message. */
const maxChars = 200_000;
/** Characters per 1 ms of pause after a message, so that copying costs a flow a few per cent at most. */
const charsPerRestMs = 2_000;
/** A copy of a short message takes as long as that of so many characters. */
const fewestChars = 1_000;

export class LastMessage {
  #kept: KeptMessage | null = null;
  #restsUntilMs = -Infinity;

  constructor(
    private readonly monoMs: () => number = () => performance.now(),
    private readonly wallMs: () => number = Date.now,
  ) {}

  /** Copies the message, since later nodes change it. Never throws. */
  see(message: Readonly<Record<string, unknown>>): void {
    const nowMs = this.monoMs();
    if (nowMs < this.#restsUntilMs) return;
    const text = messageJson(message, maxChars);
    this.#restsUntilMs = nowMs + (fewestChars + (text?.length ?? maxChars)) / charsPerRestMs;
    this.#kept = { text, atMs: this.wallMs() };
  }

  get kept(): KeptMessage | null {
    return this.#kept;
  }

  forget(isMeant: (text: string) => boolean): void {
    const text = this.#kept?.text ?? null;
    if (text !== null && isMeant(text)) this.#kept = null;
  }
}

/** As `boundedJson`, without what belongs to Node-RED and to HTTP nodes, and is no data. */
export function messageJson(message: Readonly<Record<string, unknown>>, most: number): string | null {
  try {
    const { req: _req, res: _res, _session, _event, ...data } = message;
    return boundedJson(data, most);
  } catch {
    // A getter that throws: the runtime must not notice.
    return null;
  }
}
