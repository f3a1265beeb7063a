// Agent inside Node-RED: starts the source node of the flow and measures its cost. Loaded by the settings file.
import { cpuUs, nowMs, sleep, turn } from '../support/process';
import { serve } from './serve';

type Source = (first: number, count: number) => void;

let source: Source | null = null;
let counted = 0;

/** For the flow's function nodes, as `global.get('bench')`. */
export const forFlow = {
  onSource(send: Source): void {
    source = send;
  },
  count(messages: number): void {
    counted += messages;
  },
};

export const operations = {
  ready: () => source !== null,
  /** Lets the source send that many messages, some each turn of the event loop. */
  async send(first: number, count: number, perTurn: number): Promise<void> {
    for (let sent = 0; sent < count; sent += perTurn) {
      source!(first + sent, Math.min(perTurn, count - sent));
      await turn();
    }
  },
  /** One message every `gapMs`; when each was sent. */
  async trickle(first: number, count: number, gapMs: number): Promise<number[]> {
    const sentMs: number[] = [];
    for (let at = 0; at < count; at += 1) {
      await sleep(gapMs);
      sentMs.push(nowMs());
      source!(first + at, 1);
    }
    return sentMs;
  },
  counted: () => counted,
  cpuUs,
};
serve(operations);
