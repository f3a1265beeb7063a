// Undici connector that times TCP connects (one network round trip, without name lookup and TLS) and reports socket
// errors.
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

/**
 * @param onConnect `address` as `ip:port`; `connectMs` is at most the time of the round trip
 * @param onError receives the code of the socket's first error. Undici hides the code of a TLS 1.3 alert that arrives
 *   after the request was written, and reports a closed connection instead.
 */
export function timingConnector(
  options: buildConnector.BuildOptions,
  onConnect: (address: string, connectMs: number) => void,
  onError: (code: string) => void,
): buildConnector.connector {
  // The connector returns its socket, though its type says void. Only the socket shows when TCP is connected, before
  // TLS.
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
 * Counts only the time in which the event loop was idle. An incoming packet ends the idle time, so the result never
 * exceeds the network's own time, however late a busy process handles the packet. The proof of the rate limiter needs
 * this lower bound (promise 3).
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
