// A process with one engine, as an account node makes it, without Node-RED.
import type { CheckedEntry } from '../../src/entry/entry';
import type { Engine as EngineType, EngineStats } from '../../src/delivery/engine';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import { collect } from '../support/collect';
import { nowMs } from '../support/now';
import { entryOf, messagesOf, type Feed, type PlainEntry } from './entries';
import { checkEntry, Engine, ServiceClient, SqliteStore, systemClock } from './package';
import { serve } from './serve';

export interface Opening {
  readonly url: string;
  /** A file, or null for memory. */
  readonly file: string | null;
  readonly limits: Limits;
}

export interface FeedOptions extends Feed {
  readonly completeOn: 'accepted' | 'queued';
  /** Messages that may be without an end at a time. */
  readonly outstanding: number;
  /** Makes all input before the time is taken. */
  readonly prepared?: boolean;
}

export interface Fed {
  readonly tookMs: number;
  readonly cpuUs: number;
  /** Entries that ended with their message. */
  readonly accepted: number;
  readonly failed: string | null;
}

let engine: EngineType;
const source = { node: 'bench', account: 'bench' };

/** As the out node does it. */
function checked(entries: readonly PlainEntry[]): CheckedEntry[] {
  return entries.map((entry) => {
    const result = checkEntry(entry);
    if (!result.ok) throw new Error(`An entry of the bench is refused: ${JSON.stringify(result.issues)}`);
    return result.entry;
  });
}

function submit(
  entries: readonly PlainEntry[],
  completeOn: 'accepted' | 'queued',
  onEnd: (end: MessageEnd) => void,
): void {
  engine.submit({ source, entries: checked(entries), indexes: null, completeOn, onEnd });
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

export const operations = {
  async open({ url, file, limits }: Opening): Promise<void> {
    const client = new ServiceClient({ authUrl: url, serviceUrl: url, maxConcurrent: limits.maxConcurrent });
    engine = new Engine({
      store: new SqliteStore(file ?? ':memory:'),
      clock: systemClock,
      random: Math.random,
      limits,
      queueMaxEntries: 5_000_000,
      queueMaxBytes: 2_048_000_000,
    });
    engine.attach({
      account: 'bench',
      token: () => Promise.resolve({ kind: 'token', token: 'bench' }),
      refused: () => undefined,
      post: (body, token, mayLeave) => client.post(body, token, mayLeave),
      networkFloorMs: () => client.networkFloorMs(systemClock.monoMs()),
    });
    engine.onRecovered('bench', () => undefined);
    engine.start();
    while (engine.stats().state.kind === 'starting') await turn();
  },

  /** Hands everything over; resolves when every message has ended. */
  async feed(options: FeedOptions): Promise<Fed> {
    const { completeOn, outstanding, perMessage, prepared = false } = options;
    const messages = prepared ? [...messagesOf(options)] : messagesOf(options);
    let open = 0;
    let accepted = 0;
    let failed: string | null = null;
    const ended = (end: MessageEnd): void => {
      open -= 1;
      if (end.kind === 'settled') accepted += end.summary.accepted + end.summary.superseded;
      else if (end.kind === 'failed') failed = end.message;
    };
    if (prepared) collect();
    const startedMs = nowMs();
    const startedUs = cpuUs();
    const messagesPerTurn = Math.max(1, Math.floor(1000 / perMessage));
    let inTurn = 0;
    for (const entries of messages) {
      open += 1;
      submit(entries, completeOn, ended);
      inTurn += 1;
      if (inTurn < messagesPerTurn) continue;
      inTurn = 0;
      await turn();
      while (open >= outstanding) await sleep(1);
    }
    while (open > 0) await sleep(1);
    return { tookMs: nowMs() - startedMs, cpuUs: cpuUs() - startedUs, accepted, failed };
  },

  /** Removes one user; resolves with the time of the input, once the removal is accepted. */
  async remove(number: number): Promise<number> {
    const atMs = nowMs();
    await new Promise<void>((resolve) => submit([entryOf(number, 0, true)], 'accepted', () => resolve()));
    return atMs;
  },

  pause: () => engine.pause(),
  resume: () => engine.resume(),
  stats: (): EngineStats => engine.stats(),
  rssBytes: () => process.memoryUsage.rss(),
  async close(): Promise<void> {
    await engine.park(5000);
    await engine.close();
  },
};
serve(operations);
