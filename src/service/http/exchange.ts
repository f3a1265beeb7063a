// One HTTP exchange over undici: the complete reply, or the error and whether the request may have been sent. And the
// limit of exchanges in flight.
import type { Dispatcher } from 'undici';
import { CLOSED, HELD_BACK, REPLY_TOO_LARGE, TIMED_OUT, type NetworkPhase } from './network-errors';
import type { ReplyHeaders } from '../reply/retry-after';

export interface ExchangeRequest {
  readonly origin: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export interface ExchangeLimits {
  /** Limit for the whole exchange: connection, request, headers and body. */
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
}

export interface ExchangeEvents {
  /** Called on an open connection right before the request is written; false cancels the request. */
  mayLeave(): boolean;
  /** Called at the reply's headers, with the time since the request was written. */
  replied(afterMs: number): void;
}

export type ExchangeResult =
  | { readonly kind: 'reply'; readonly status: number; readonly headers: ReplyHeaders; readonly body: string }
  | { readonly kind: 'failed'; readonly phase: NetworkPhase; readonly error: unknown };

/** Error of an exchange that the client itself ended; its code is one of our own. */
class CutOff extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

/**
 * Never rejects. Uses undici's `dispatch` instead of `request`: only `dispatch` shows whether the request was written
 * before the failure, and only there a deadline can end a request that still waits for a connection.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: ExchangeRequest,
  limits: ExchangeLimits,
  events: ExchangeEvents,
): Promise<ExchangeResult> {
  return new Promise((resolve) => {
    const handler = new ExchangeHandler(limits, events, resolve);
    try {
      // A Buffer, because undici counts the bytes of a string, and the socket encodes it in parts.
      const body = request.body === null ? null : Buffer.from(request.body);
      dispatcher.dispatch({ ...request, body, headersTimeout: 0, bodyTimeout: 0 }, handler);
    } catch (error) {
      handler.onResponseError(undefined, error);
    }
  });
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #maxReplyBytes: number;
  readonly #events: ExchangeEvents;
  readonly #timer: NodeJS.Timeout;
  readonly #chunks: Buffer[] = [];
  #resolve: ((result: ExchangeResult) => void) | null;
  #controller: Dispatcher.DispatchController | null = null;
  #departedMs = 0;
  #bytes = 0;
  #status = 0;
  #headers: ReplyHeaders = {};

  constructor(
    { timeoutMs, maxReplyBytes }: ExchangeLimits,
    events: ExchangeEvents,
    resolve: (result: ExchangeResult) => void,
  ) {
    this.#maxReplyBytes = maxReplyBytes;
    this.#events = events;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#cutOff(TIMED_OUT), timeoutMs);
  }

  /** The connection is open; undici writes the request next. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#resolve === null || !this.#events.mayLeave()) {
      controller.abort(new CutOff(HELD_BACK));
      return;
    }
    this.#controller = controller;
    this.#departedMs = performance.now();
  }

  /** Called once more for each informational reply (1xx) before the final one. */
  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ReplyHeaders): void {
    this.#status = status;
    this.#headers = headers;
    this.#events.replied(performance.now() - this.#departedMs);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxReplyBytes) this.#cutOff(REPLY_TOO_LARGE);
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first] = this.#chunks;
    const whole = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.#settle({
      kind: 'reply',
      status: this.#status,
      headers: this.#headers,
      body: whole.toString('utf8'),
    });
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController): void {
    controller.abort(new CutOff(CLOSED));
  }

  onResponseError(_controller: unknown, error: unknown): void {
    this.#settle({ kind: 'failed', phase: this.#phase(), error });
  }

  #phase(): NetworkPhase {
    return this.#controller === null ? 'connecting' : 'departed';
  }

  #cutOff(code: string): void {
    const error = new CutOff(code);
    this.#settle({ kind: 'failed', phase: this.#phase(), error });
    this.#controller?.abort(error);
  }

  #settle(result: ExchangeResult): void {
    clearTimeout(this.#timer);
    this.#chunks.length = 0;
    this.#resolve?.(result);
    this.#resolve = null;
  }
}

/** Limits the calls in flight, of all kinds together (service.md 3.2): permits go first come, first served. */
export class CallGate {
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  constructor(private readonly max: number) {}

  /** Runs `call` once a permit is free; if one is free now, without a turn of the event loop in between. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#inFlight < this.max) this.#inFlight += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await call();
    } finally {
      // The permit goes straight to the next caller in line, so that no new caller overtakes it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#inFlight -= 1;
      else next();
    }
  }
}
