// Helpers for tests with the sandbox: a virtual clock, and calls over sockets with unprocessed replies.
import { request } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  startSandbox,
  type Sandbox,
  type SandboxClock,
  type SandboxOptions,
} from '../../src/sandbox/sandbox';

export class FakeClock implements SandboxClock {
  #nowMs = 1_000_000;
  #timers: { atMs: number; call: () => void }[] = [];

  /** 2026-01-05 10:30 UTC, well inside an hour. */
  constructor(public startWallMs = Date.UTC(2026, 0, 5, 10, 30)) {}

  monoMs = () => this.#nowMs;
  wallMs = () => this.startWallMs + this.#nowMs - 1_000_000;

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  get waiting(): number {
    return this.#timers.length;
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#nowMs = next.atMs;
      next.call();
    }
    this.#nowMs = untilMs;
  }
}

export interface Answer {
  status: number;
  headers: Record<string, string[]>;
  text: string;
  json: any;
}

export interface CallOptions {
  body?: unknown;
  token?: string | undefined;
  headers?: Record<string, string>;
}

/** One call on its own connection; rejects when the connection breaks. A string body is sent unchanged. */
export function call(url: string, route: string, options: CallOptions = {}): Promise<Answer> {
  const [method, path] = route.split(' ') as [string, string];
  const body = typeof options.body === 'string' ? options.body : JSON.stringify(options.body);
  const headers = { ...(options.token ? { authorization: options.token } : {}), ...options.headers };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}${path}`, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => {
        const distinct = response.headersDistinct as Record<string, string[]>;
        resolve({ status: response.statusCode!, headers: distinct, text, json: parse(text) });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export async function login(url: string, username = 'me', password = 'secret'): Promise<string> {
  const answer = await call(url, 'POST /auth', { body: { auth: { username, password } } });
  return answer.json.response.token;
}

export interface BlockLike {
  seg_id?: number;
  seg_code?: string;
  member_id?: number;
  value?: number;
  expiration?: number;
}

export function entry(user_id: string, blocks: BlockLike[] = [{ seg_id: 10001 }], domain?: string) {
  return { user_id, ...(domain ? { domain } : {}), seg_block: blocks };
}

export function post(url: string, token: string | undefined, ...entries: unknown[]): Promise<Answer> {
  return call(url, 'POST /rt-segment', { token, body: { rt_segment: entries } });
}

export function caseFile(name: string): any {
  return JSON.parse(readFileSync(join(__dirname, '..', 'cases', `${name}.json`), 'utf8'));
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** A function that starts sandboxes; all of them are closed after each test. */
export function sandboxes(): (options?: SandboxOptions) => Promise<Sandbox> {
  const started: Sandbox[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((sandbox) => sandbox.close()));
  });
  return async (options) => {
    const sandbox = await startSandbox(options);
    started.push(sandbox);
    return sandbox;
  };
}
