// Agent inside Node-RED: starts the source node of the flow and measures its cost. Loaded by the settings file.
import {
  cpuUs,
  longestHoldMs,
  nowMs,
  peakRssBytes,
  rssBytes,
  sleep,
  turn,
  watchLoop,
} from '../support/process';
import { serve } from './serve';

interface Message {
  payload: unknown;
}
type Make = (first: number, count: number) => Message[];
type Send = (message: Message) => void;

let source: { readonly make: Make; readonly send: Send } | null = null;

/** For the source of the flow, as `global.get('bench')`. */
export const forFlow = {
  onSource(make: Make, send: Send): void {
    source = { make, send };
  },
};

function make(first: number, count: number): Message[] {
  return source!.make(first, count);
}

export const operations = {
  ready: () => source !== null,
  /** Lets the source send so many users, some each turn of the event loop. */
  async send(first: number, count: number, perTurn: number): Promise<void> {
    for (let sent = 0; sent < count; sent += perTurn) {
      make(first + sent, Math.min(perTurn, count - sent)).forEach(source!.send);
      await turn();
    }
  },
  /** One user every `gapMs`; when each was sent. */
  async trickle(first: number, count: number, gapMs: number): Promise<number[]> {
    const sentMs: number[] = [];
    for (let at = 0; at < count; at += 1) {
      await sleep(gapMs);
      sentMs.push(nowMs());
      make(first + at, 1).forEach(source!.send);
    }
    return sentMs;
  },
  /** Sends all at once, and begins to measure how long the event loop is held. */
  async sendWatched(first: number, count: number): Promise<void> {
    const messages = make(first, count);
    await watchLoop();
    messages.forEach(source!.send);
  },
  longestHoldMs,
  rssBytes,
  peakRssBytes,
  cpuUs,
};
serve(operations);
