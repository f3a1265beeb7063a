// Waits until the flows of a deploy have started: a message to a node that is not made yet is lost without a word.

import type { NodeAPI } from 'node-red';

/** In case the event is missed. */
const atMostMs = 5_000;

/** Calls once, after the flows have started; returns what cancels it. */
export function whenFlowsStarted(RED: NodeAPI, call: () => void): () => void {
  const started = (): void => {
    cancel();
    call();
  };
  const timer = setTimeout(started, atMostMs).unref();
  const cancel = (): void => {
    clearTimeout(timer);
    RED.events.removeListener('flows:started', started);
  };
  RED.events.on('flows:started', started);
  return cancel;
}
