// A process with one engine, as an account node makes it, without Node-RED.
import type { Engine } from '../../src/delivery/engine';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import { collect, cpuUs, longestHoldMs, nowMs, rssBytes, sleep, turn, watchLoop } from '../support/process';
import { entryOf, eventOf, messagesOf, source, type Feed, type PlainEntry } from './entries';
import { accountAt, checked, openEngine, SqliteStore } from './package';
import { serve } from './serve';

export interface Opening {
  readonly url: string;
  /** A file, or null for memory. */
  readonly file: string | null;
  readonly limits: Limits;
}

export interface FeedOptions extends Feed {
  readonly completeOn: 'accepted' | 'queued';
  /** Messages that may be without an end at a time. */
  readonly outstanding: number;
  /** Makes all input before the time is taken. */
  readonly prepared?: boolean;
}

export interface Fed {
  readonly tookMs: number;
  readonly cpuUs: number;
  readonly failed: string | null;
}

let engine: Engine;
let account: ReturnType<typeof accountAt>;
let openEvents = 0;
let failedEvent: string | null = null;

function submit(
  entries: readonly PlainEntry[],
  completeOn: 'accepted' | 'queued',
  onEnd: (end: MessageEnd) => void,
): void {
  engine.submit({ source, entries: entries.map(checked), indexes: null, completeOn, onEnd });
}

export const operations = {
  async open({ url, file, limits }: Opening): Promise<void> {
    account = accountAt(url, limits.maxConcurrent, 'bench');
    engine = await openEngine(url, new SqliteStore(file ?? ':memory:'), limits, account);
  },

  /** Hands everything over; resolves when every message has ended. */
  async feed(options: FeedOptions): Promise<Fed> {
    const { completeOn, outstanding, perMessage, prepared = false } = options;
    const messages = prepared ? [...messagesOf(options)] : messagesOf(options);
    let open = 0;
    let failed: string | null = null;
    const ended = (end: MessageEnd): void => {
      open -= 1;
      if (end.kind === 'failed') failed = end.message;
    };
    if (prepared) collect();
    const startedMs = nowMs();
    const startedUs = cpuUs();
    const messagesPerTurn = Math.max(1, Math.floor(1000 / perMessage));
    let inTurn = 0;
    for (const entries of messages) {
      open += 1;
      submit(entries, completeOn, ended);
      inTurn += 1;
      if (inTurn < messagesPerTurn) continue;
      inTurn = 0;
      await turn();
      while (open >= outstanding) await sleep(1);
    }
    while (open > 0) await sleep(1);
    return { tookMs: nowMs() - startedMs, cpuUs: cpuUs() - startedUs, failed };
  },

  /** Removes one user; resolves with the time of the input, once the removal is accepted. */
  async remove(number: number): Promise<number> {
    const atMs = nowMs();
    await new Promise<void>((resolve) => submit([entryOf(number, 0, true)], 'accepted', () => resolve()));
    return atMs;
  },

  /** Hands over events of one user, some each turn, and begins to measure how long the event loop is held. */
  async events(count: number, perTurn: number): Promise<void> {
    await watchLoop();
    for (let at = 0; at < count; at += 1) {
      openEvents += 1;
      submit([eventOf(at)], 'accepted', (end) => {
        openEvents -= 1;
        if (end.kind === 'failed') failedEvent = end.message;
      });
      if (at % perTurn === perTurn - 1) await turn();
    }
  },
  openEvents(): number {
    if (failedEvent !== null) throw new Error(failedEvent);
    return openEvents;
  },

  /** What the rate limiter deducts now. */
  networkFloorMs: () => account.networkFloorMs(),
  pause: () => engine.pause(),
  resume: () => engine.resume(),
  longestHoldMs,
  rssBytes,
};
serve(operations);
