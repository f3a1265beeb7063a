// Agent inside Node-RED: starts the source node of the flow and measures its cost. Loaded by the settings file.
import { rowsOfRun, segment } from '../support/audience';
import {
  collect,
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

/** Of a flow with an audience sync and a live source: by their names, how each sends, and what was sent and has not completed. */
const senders = new Map<string, (message: object) => void>();
const open = new Map<string, (() => void)[]>();
const waits: LiveWait[] = [];
let live: NodeJS.Timeout | undefined;
let highestRss = 0;
let watching: NodeJS.Timeout | undefined;

/** Of a live event: when it was sent, and how long until it was durably queued. */
export interface LiveWait {
  readonly atMs: number;
  readonly waitMs: number;
}

/** Sends a message, and resolves when its node has completed it. */
function sendAndWait(name: string, message: object): Promise<void> {
  return new Promise((resolve) => {
    const its = open.get(name) ?? [];
    open.set(name, its);
    its.push(resolve);
    senders.get(name)!(message);
  });
}

function liveEntry(id: string, removes: boolean): object {
  const block = { seg_id: segment, expiration: removes ? -1 : 1440 };
  return { payload: { user_id: id, domain: null, seg_block: [block] } };
}

let source: { readonly make: Make; readonly send: Send } | null = null;

/** For the source of the flow, as `global.get('bench')`. */
export const forFlow = {
  onSource(make: Make, send: Send): void {
    source = { make, send };
  },
  onSender(name: string, send: (message: object) => void): void {
    senders.set(name, send);
  },
  completed(name: string): void {
    open.get(name)?.shift()?.();
  },
};

function make(first: number, count: number): Message[] {
  return source!.make(first, count);
}

export const operations = {
  ready: () => source !== null || senders.size > 0,
  /** Feeds a run in parts; the next part is made when the one before it has completed. When the last one was sent. */
  async feedRun(to: 'rows' | 'nowhere', members: number, perPart: number): Promise<number> {
    const count = Math.ceil(members / perPart);
    for (let index = 0; ; index += 1) {
      const payload = rowsOfRun(members, index * perPart, perPart);
      const message = { payload, parts: { id: 'run', type: 'array', index, count } };
      const sentMs = nowMs();
      const completed = sendAndWait(to, message);
      if (index === count - 1) return sentMs;
      await completed;
    }
  },
  /** An event of another user every `gapMs`. */
  startLive(gapMs: number): void {
    let number = 0;
    live = setInterval(() => {
      const atMs = nowMs();
      number += 1;
      const message = liveEntry(`9${String(number).padStart(18, '0')}`, false);
      void sendAndWait('live', message).then(() => waits.push({ atMs, waitMs: nowMs() - atMs }));
    }, gapMs);
  },
  stopLive(): LiveWait[] {
    clearInterval(live);
    return waits.splice(0);
  },
  /** One event; when it was sent. */
  sendLive(id: string, removes: boolean): number {
    const atMs = nowMs();
    void sendAndWait('live', liveEntry(id, removes));
    return atMs;
  },
  watchRss(): void {
    collect();
    highestRss = 0;
    watching = setInterval(() => (highestRss = Math.max(highestRss, rssBytes())), 20);
  },
  highestRss(): number {
    clearInterval(watching);
    return highestRss;
  },
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
