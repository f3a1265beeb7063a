// Lower bound of the network's share in a round trip, by which the rate limiter may free quota earlier (promise 3).
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

const WINDOW_MS = 600_000;
const BUCKET_MS = 10_000;
const MIN_CONNECTS = 5;
/** The deducted part stays below the round trip even on a path that is twice as fast; 0.1 of it is reserved for jitter. */
const SHARE = 0.4;

/** The smallest times of ten seconds. Single times are not stored, so memory stays flat. */
interface Bucket {
  readonly index: number;
  connects: number;
  fastestConnectMs: number;
  fastestReplyMs: number;
}

/**
 * `0.4 × min(fastest TCP connect, fastest reply)` of the last ten minutes, in ms; 0 with fewer than five connects to
 * the same address, or without a reply. A change of the address discards all measurements. All times are monotonic ms.
 */
export class NetworkFloor {
  #address: string | null = null;
  #buckets: Bucket[] = [];

  connected(address: string, connectMs: number, nowMs: number): void {
    if (address !== this.#address) {
      this.#address = address;
      this.#buckets = [];
    }
    const bucket = this.#bucketAt(nowMs);
    bucket.connects += 1;
    bucket.fastestConnectMs = Math.min(bucket.fastestConnectMs, connectMs);
  }

  replied(replyMs: number, nowMs: number): void {
    const bucket = this.#bucketAt(nowMs);
    bucket.fastestReplyMs = Math.min(bucket.fastestReplyMs, replyMs);
  }

  floorMs(nowMs: number): number {
    this.#forget(nowMs);
    let connects = 0;
    let fastestConnectMs = Infinity;
    let fastestReplyMs = Infinity;
    for (const bucket of this.#buckets) {
      connects += bucket.connects;
      fastestConnectMs = Math.min(fastestConnectMs, bucket.fastestConnectMs);
      fastestReplyMs = Math.min(fastestReplyMs, bucket.fastestReplyMs);
    }
    if (connects < MIN_CONNECTS || fastestReplyMs === Infinity) return 0;
    return SHARE * Math.max(0, Math.min(fastestConnectMs, fastestReplyMs));
  }

  /** A bucket counts only while its whole ten seconds lie within the last ten minutes. */
  #forget(nowMs: number): void {
    const oldest = Math.ceil((nowMs - WINDOW_MS) / BUCKET_MS);
    while (this.#buckets[0] !== undefined && this.#buckets[0].index < oldest) this.#buckets.shift();
  }

  #bucketAt(nowMs: number): Bucket {
    const index = Math.floor(nowMs / BUCKET_MS);
    const last = this.#buckets.at(-1);
    if (last !== undefined && last.index >= index) return last;
    this.#forget(nowMs);
    const bucket = { index, connects: 0, fastestConnectMs: Infinity, fastestReplyMs: Infinity };
    this.#buckets.push(bucket);
    return bucket;
  }
}

/**
 * Undici connector that times TCP connects (one network round trip, without name lookup and TLS) and reports socket
 * errors.
 *
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
