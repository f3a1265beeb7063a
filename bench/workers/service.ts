// The service for the bench: accepts posts, counts them in sliding windows, answers after a given delay.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SlidingWindow } from '../../src/sandbox/windows';
import type { Arrival } from '../support/figures';
import { nowMs } from '../support/process';
import { serve } from './serve';

export interface Setting {
  /** Held back by the service, half before and half after the post takes effect. */
  readonly roundTripMs?: number;
  /** Text whose first appearance in a body is timed. */
  readonly watch?: string;
  /** Whether to distinguish users, which costs time. */
  readonly distinct?: boolean;
  /** Whether every post fails. */
  readonly outage?: boolean;
}

export interface Counts {
  readonly posts: number;
  readonly users: number;
  readonly updates: number;
  /** Posts that have been answered, in users. */
  readonly answeredUsers: number;
}

export interface Report extends Counts {
  readonly distinctUsers: number;
  readonly worstPosts: number;
  readonly worstUsers: number;
  readonly mostInFlight: number;
  readonly watchedAtMs: number | null;
  readonly arrivals: readonly Arrival[];
  /** When each request's first bytes were here. */
  readonly headsMs: readonly number[];
}

class Measurement {
  posts = 0;
  users = 0;
  updates = 0;
  answeredUsers = 0;
  inFlight = 0;
  mostInFlight = 0;
  watchedAtMs: number | null = null;
  readonly seen = new Set<string>();
  readonly arrivals: Arrival[] = [];
  readonly headsMs: number[] = [];
  readonly postWindow = new SlidingWindow(1000);
  readonly userWindow = new SlidingWindow(1000);

  constructor(readonly setting: Setting) {}

  arrive(body: Buffer, token: string): number {
    const { watch, distinct } = this.setting;
    const users = countOf(body, '"user_id"');
    const updates = countOf(body, '"seg_id"');
    const atMs = nowMs();
    this.posts += 1;
    this.users += users;
    this.updates += updates;
    this.arrivals.push({ atMs, users, updates, token });
    this.postWindow.add(atMs, 1);
    this.userWindow.add(atMs, users);
    if (watch !== undefined && this.watchedAtMs === null && body.includes(watch)) this.watchedAtMs = atMs;
    if (distinct === true) {
      for (const [, id] of body.toString().matchAll(/"user_id":"([^"]+)"/g)) this.seen.add(id!);
    }
    return users;
  }
}

let measurement = new Measurement({});

function countOf(body: Buffer, text: string): number {
  let count = 0;
  for (let at = body.indexOf(text); at >= 0; at = body.indexOf(text, at + text.length)) count += 1;
  return count;
}

function later(delayMs: number, call: () => void): void {
  if (delayMs > 0) setTimeout(call, delayMs);
  else call();
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const mine = measurement;
  const isPost = request.url === '/rt-segment';
  if (isPost) {
    mine.headsMs.push(nowMs());
    mine.inFlight += 1;
    mine.mostInFlight = Math.max(mine.mostInFlight, mine.inFlight);
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (!isPost) {
      reply(response, { status: 'OK', token: 'bench' });
      return;
    }
    if (mine.setting.outage === true) {
      mine.inFlight -= 1;
      response.writeHead(503).end();
      return;
    }
    const halfMs = (mine.setting.roundTripMs ?? 0) / 2;
    later(halfMs, () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      const users = mine.arrive(body, request.headers.authorization ?? '');
      later(halfMs, () => {
        mine.inFlight -= 1;
        mine.answeredUsers += users;
        const message = { users_in_request: users, segments_in_request: users };
        reply(response, { status: 'OK', message, warnings: [] });
      });
    });
  });
}

function reply(response: ServerResponse, content: unknown): void {
  const body = JSON.stringify({ response: content });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

export const operations = {
  async listen(host: string): Promise<string> {
    const server = createServer({ keepAliveTimeout: 60_000 }, answer);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return `http://${host}:${(server.address() as AddressInfo).port}`;
  },
  /** Starts counting afresh. */
  set(setting: Setting): void {
    measurement = new Measurement(setting);
  },
  counts(): Counts {
    const { posts, users, updates, answeredUsers } = measurement;
    return { posts, users, updates, answeredUsers };
  },
  report(): Report {
    const { seen, postWindow, userWindow, mostInFlight, watchedAtMs, arrivals, headsMs } = measurement;
    return {
      ...operations.counts(),
      distinctUsers: seen.size,
      worstPosts: postWindow.peak,
      worstUsers: userWindow.peak,
      mostInFlight,
      watchedAtMs,
      arrivals,
      headsMs,
    };
  },
};
serve(operations);
