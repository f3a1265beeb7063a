// Wait for the start of the flows after a deploy: a message to a node that does not exist yet is lost silently.

import type { NodeAPI } from 'node-red';

/** In case the event is missed. */
const atMostMs = 5_000;

/** All who wait, behind one listener: Node.js warns of more than ten, and a flow may have more out nodes. */
const waiting = new Set<() => void>();
let listening = false;

/** Calls once, after the flows have started or after `mostMs`; returns a function that cancels it. */
export function whenFlowsStarted({ events }: NodeAPI, call: () => void, mostMs = atMostMs): () => void {
  const started = (): void => {
    cancel();
    call();
  };
  const timer = mostMs === Infinity ? undefined : setTimeout(started, mostMs).unref();
  const cancel = (): void => {
    clearTimeout(timer);
    waiting.delete(started);
  };
  waiting.add(started);
  if (!listening) {
    listening = true;
    events.once('flows:started', () => {
      listening = false;
      for (const each of [...waiting]) each();
    });
  }
  return cancel;
}
