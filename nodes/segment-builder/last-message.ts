// The last message that passed a builder, kept as text while its open form asks for it, and not a moment longer.

import { boundedJson } from '../../src/audience/bounded-json';

/** What the form gets. */
export interface LastMessage {
  /** JSON. */
  readonly text: string;
  /** Epoch ms. */
  readonly atMs: number;
}

/** One node's; the runtime shows every message to it, the form arms and reads it. */
export interface MessageWatch {
  /** Does nothing, and costs nothing, unless the form asked a moment ago. Never throws. */
  see(message: Readonly<Record<string, unknown>>): void;
  /** Asks for messages, for a while, and gives the last one that came since the first ask; null for none yet. */
  ask(): LastMessage | 'too large' | null;
  /** Forgets everything. */
  close(): void;
}

/** The form asks every few seconds; when it stops, the message is dropped. */
const armedMs = 30_000;
/** A flow may pass thousands of messages a second, and nobody reads that fast. */
const restMs = 100;
/** In characters; a message that is larger cannot be looked at in a form anyway. */
const maxChars = 200_000;

export class FormWatch implements MessageWatch {
  #last: LastMessage | 'too large' | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lookedAtMs = -Infinity;

  constructor(
    private readonly wallMs: () => number = Date.now,
    private readonly keepMs = armedMs,
  ) {}

  see(message: Readonly<Record<string, unknown>>): void {
    if (this.#timer === null) return;
    const atMs = this.wallMs();
    if (Math.abs(atMs - this.#lookedAtMs) < restMs) return;
    this.#lookedAtMs = atMs;
    const text = messageJson(message, maxChars);
    this.#last = text === null ? 'too large' : { text, atMs };
  }

  ask(): LastMessage | 'too large' | null {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), this.keepMs).unref();
    return this.#last;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#last = null;
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
