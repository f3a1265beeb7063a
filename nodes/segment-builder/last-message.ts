// The last message that passed a builder, kept as text while its open form asks for it, and not a moment longer.

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
/** What belongs to Node-RED and to HTTP nodes, and is no data. */
const left: ReadonlySet<string> = new Set(['req', 'res', '_session', '_event']);

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
    const text = boundedJson(message, maxChars);
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

/**
 * The message as JSON text, or null when it would be longer than `most` characters; it is given up as soon as that
 * is clear. What JSON cannot hold is left out (functions, what refers to itself) or written as text (big integers).
 */
export function boundedJson(message: Readonly<Record<string, unknown>>, most: number): string | null {
  try {
    const data = Object.entries(message).filter(([key]) => !left.has(key));
    const text = JSON.stringify(new Copy(most).of(Object.fromEntries(data)));
    return text.length > most ? null : text;
  } catch {
    // Too large, too deep, or a getter that throws: it cannot be shown, and the runtime must not notice.
    return null;
  }
}

/** A copy of plain data that stops before it takes more room than it may. */
class Copy {
  readonly #above = new Set<object>();
  #room: number;

  constructor(most: number) {
    this.#room = most;
  }

  of(value: unknown): unknown {
    if (typeof value === 'bigint') return this.of(String(value));
    this.#take(typeof value === 'string' ? value.length + 2 : 1);
    if (typeof value !== 'object' || value === null) return value;
    return this.#above.has(value) ? undefined : this.#ofObject(value);
  }

  #ofObject(value: object): unknown {
    if (Object.prototype.toString.call(value) === '[object Date]') return (value as Date).toJSON();
    if (ArrayBuffer.isView(value)) this.#take(2 * value.byteLength);
    if (Buffer.isBuffer(value)) return value.toJSON();
    this.#above.add(value);
    const copy = Array.isArray(value)
      ? value.map((each) => this.of(each))
      : Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.#ofEntry(key, each)]));
    this.#above.delete(value);
    return copy;
  }

  #ofEntry(key: string, value: unknown): unknown {
    this.#take(key.length + 3);
    return this.of(value);
  }

  #take(chars: number): void {
    this.#room -= chars;
    if (this.#room < 0) throw new RangeError('too large');
  }
}
