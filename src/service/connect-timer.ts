// Watches the sockets of an undici connector: times their TCP connects, one network round trip each without name lookup
// and TLS, and sees the error that ends one.
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

/**
 * @param onConnect `address` as `ip:port`; `connectMs` at most the round trip's time
 * @param onError the first error of a socket, by its code: undici tells that the other side has closed instead when an
 *   alert of TLS 1.3 comes after the request has left
 */
export function timingConnector(
  options: buildConnector.BuildOptions,
  onConnect: (address: string, connectMs: number) => void,
  onError: (code: string) => void,
): buildConnector.connector {
  // Documented as void, the connector hands out its socket: the only place to see TCP apart from TLS.
  const connect: (...args: Parameters<buildConnector.connector>) => unknown = buildConnector(options);
  return (target, callback) => {
    const socket = connect(target, callback);
    if (!isSocket(socket)) return;
    watch(socket, onConnect);
    socket.once('error', ({ code }: NodeJS.ErrnoException) => onError(code ?? ''));
  };
}

function isSocket(value: unknown): value is Socket {
  return typeof value === 'object' && value !== null && 'remoteAddress' in value && 'once' in value;
}

/**
 * Only the time in which the event loop was idle counts: an answer would have ended the idling, so this is never
 * longer than the network took, however late a busy process noticed. The ledger's proof needs a lower bound.
 */
function watch(socket: Socket, onConnect: (address: string, connectMs: number) => void): void {
  let idleMs: number | null = null;
  socket.on('connectionAttempt', () => {
    idleMs = performance.eventLoopUtilization().idle;
  });
  socket.once('connect', () => {
    if (idleMs === null || socket.remoteAddress === undefined) return;
    const connectMs = performance.eventLoopUtilization().idle - idleMs;
    onConnect(`${socket.remoteAddress}:${socket.remotePort ?? 0}`, connectMs);
  });
}
