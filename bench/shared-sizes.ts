// What a shared queue takes of its database: bytes of tables and of WAL, and CPU, for each entry and while idle. The
// figures of docs/internals/several-instances.md come from here:
//
//     node --import tsx bench/shared-sizes.ts [entries]
//
// On a PostgreSQL of its own, so that nobody else writes. That one does not sync, which changes no size.
import { loadavg } from 'node:os';
import type { Client } from 'pg';
import { checkEntry } from '../src/entry/check';
import { systemClock } from '../src/clock';
import { Engine } from '../src/delivery/engine';
import type { OutcomeRow, QueueStore, Row } from '../src/queue/store';
import { PostgresLog } from '../src/queue-postgres/postgres-log';
import { schemaOf } from '../src/queue-postgres/postgres-schema';
import type { Instance, SharedRow } from '../src/queue/shared-log';
import { SqliteStore } from '../src/queue/sqlite/sqlite-store';
import { findPostgres, postgresAt } from '../test/support/services';
import { cpuMsOf } from './support/database';
import { median } from './support/figures';
import { cpuUs, sleep } from './support/process';

const entries = Number(process.argv[2] ?? 200_000);
const leaseMs = 3_600_000;
const idleClaims = 2_000;
const queue = { origin: 'https://streaming-data.appnexus.com', member: '1661' };
const schema = schemaOf(queue);
const sender: Instance = { id: 'sender-00000000-0000-0000-0000-000000000000', name: 'node-1:1880' };
const other: Instance = { id: 'other-000000000-0000-0000-0000-000000000000', name: 'node-2:1880' };
const source = { node: '8118b325bfb69f42', account: 'a68228441db758d7' };

/** An entry with a device id, as the store keeps it. */
function bodyOf(number: number, segments: number): string {
  const user_id = `1ba98a6c-d1a5-49ef-ad1c-${String(number).padStart(12, '0')}`;
  const seg_block = Array.from({ length: segments }, (_, at) => ({
    seg_id: 10_001 + at,
    expiration: 43_200,
  }));
  return JSON.stringify({ user_id, domain: 'idfa', seg_block });
}

function rowsFrom(first: number, count: number, segments: number): SharedRow[] {
  const now = Date.now();
  return Array.from({ length: count }, (_, at) => ({
    lane: 'add',
    userHash: ((first + at) * 2_654_435_761) % 2 ** 53,
    source,
    eventWallMs: now,
    appendedWallMs: now,
    body: bodyOf(first + at, segments),
  }));
}

interface Reading {
  readonly lsn: number;
  readonly databaseMs: number;
  readonly nodeMs: number;
  readonly wallMs: number;
}

let admin: Client;

/** CPU of the connections that a log has, as the system counts it. */
async function read(): Promise<Reading> {
  const { rows } = await admin.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'instant audience'`,
  );
  const [wal] = (
    await admin.query<{ lsn: number }>(
      `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS lsn`,
    )
  ).rows;
  return {
    lsn: wal!.lsn,
    databaseMs: rows.reduce((sum, { pid }) => sum + cpuMsOf(pid), 0),
    nodeMs: cpuUs() / 1000,
    wallMs: performance.now(),
  };
}

async function measured(what: string, per: number, unit: string, work: () => Promise<void>): Promise<void> {
  await admin.query('CHECKPOINT');
  const before = await read();
  await work();
  const after = await read();
  const each = (from: number, to: number, digits: number): string => ((to - from) / per).toFixed(digits);
  console.log(
    `${what}: WAL ${each(before.lsn, after.lsn, 1)} bytes, database ${each(before.databaseMs * 1000, after.databaseMs * 1000, 1)} µs, ` +
      `Node ${each(before.nodeMs * 1000, after.nodeMs * 1000, 1)} µs for each ${unit}; ${Math.round(per / ((after.wallMs - before.wallMs) / 1000))}/s`,
  );
}

async function tableBytes(): Promise<{ heap: number; all: number }> {
  const [found] = (
    await admin.query<{ heap: number; all: number }>(
      `SELECT pg_relation_size('${schema}.entry')::float8 AS heap, pg_total_relation_size('${schema}.entry')::float8 AS all`,
    )
  ).rows;
  return found!;
}

let number = 0;
async function fill(
  log: PostgresLog,
  instanceSource: Instance,
  count: number,
  perBatch: number,
  segments: number,
): Promise<void> {
  for (let done = 0; done < count; done += perBatch) {
    number += 1;
    await log.append({
      producerId: instanceSource.id,
      batchSequence: number,
      instance: instanceSource.id,
      rows: rowsFrom(number * 1000, perBatch, segments),
      maxEntries: 1e9,
      maxChars: 1e12,
    });
  }
}

/** As the engine does: one commit for what has ended and for the post that leaves next, so many users each. */
async function sendAll(store: QueueStore, perPost: number, tells: boolean): Promise<void> {
  let [post, after] = [0, 0];
  let onItsWay: readonly Row[] = [];
  for (;;) {
    const rows = await store.read('add', after, Number.MAX_SAFE_INTEGER, 2_000);
    if (rows.length === 0) break;
    after = rows.at(-1)!.seq;
    for (let from = 0; from < rows.length; from += perPost) {
      const users = rows.slice(from, from + perPost);
      await settle(store, onItsWay, post, tells, users);
      post += 1;
      onItsWay = users;
    }
  }
  await settle(store, onItsWay, post, tells, []);
}

async function settle(
  store: QueueStore,
  ended: readonly Row[],
  post: number,
  tells: boolean,
  next: readonly Row[],
): Promise<void> {
  const outcomes = ended.map(({ seq, body }): OutcomeRow => ({
    seq,
    source,
    instance: other.id,
    report: JSON.stringify({ end: 'accepted', entry: body }),
  }));
  await store.commit({
    remove: ended.map(({ seq }) => seq),
    ...(post > 0 && { settle: [post] }),
    ...(next.length > 0 && {
      begin: [{ post: post + 1, userHashes: next.map(({ userHash }) => userHash) }],
    }),
    ...(tells && { outcomes }),
  });
}

async function readOutcomes(log: PostgresLog): Promise<void> {
  let reported: number[] = [];
  do reported = (await log.outcomes(other, reported, 50)).map(({ id }) => id);
  while (reported.length > 0);
}

let postedMs = 0;

/** An instance as an account makes it; a post takes 5 ms, and all of it is accepted. */
function instanceOf(url: string, name: string, member: string): Engine {
  const queueOf = new Engine({
    shared: {
      log: new PostgresLog({ url, origin: queue.origin, member }),
      localBuffer: new SqliteStore(':memory:'),
      instance: { id: `${name}-00000000-0000-0000-0000-000000000000`, name },
    },
    clock: systemClock,
    random: Math.random,
    limits: { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 },
    queueMaxEntries: 5_000_000,
    queueMaxBytes: 2_048_000_000,
  });
  queueOf.attach({
    account: source.account,
    token: () => Promise.resolve({ kind: 'token', token: 'bench' }),
    refused: () => undefined,
    networkFloorMs: () => 0,
    post: async () => {
      postedMs = performance.now();
      await sleep(5);
      return { kind: 'accepted', warnings: [], counts: { users: null, segments: null } };
    },
  });
  queueOf.onRecovered(source.node, () => undefined);
  queueOf.start();
  return queueOf;
}

/** A message of one entry. */
function submit(to: Engine, number: number): void {
  const checked = checkEntry(JSON.parse(bodyOf(number, 1)));
  if (!checked.ok) throw new Error('the entry is refused');
  const one = { source, entries: [checked.entry], indexes: null, completeOn: 'queued' as const };
  to.submit({ ...one, onEnd: () => undefined });
}

/** Median time from an input to its post, one after the other. */
async function idleLatency(what: string, to: Engine): Promise<void> {
  const tookMs: number[] = [];
  for (let number = 0; number < 100; number += 1) {
    const startedMs = performance.now();
    submit(to, number);
    while (postedMs < startedMs) await sleep(1);
    tookMs.push(postedMs - startedMs);
    await sleep(40);
  }
  console.log(
    `${what}: input to post, median ${median(tookMs).toFixed(1)} ms, worst ${Math.max(...tookMs).toFixed(1)} ms`,
  );
}

/** Messages of one entry each, by turns to each instance, for so many seconds. */
async function feed(those: readonly Engine[], perSecond: number, seconds: number): Promise<void> {
  const startedMs = performance.now();
  for (let sent = 0; sent < perSecond * seconds;) {
    const due = Math.min(perSecond * seconds, ((performance.now() - startedMs) / 1000) * perSecond);
    for (; sent < due; sent += 1) submit(those[sent % those.length]!, sent);
    await sleep(1);
  }
  while (those.some((each) => each.stats().counters.waiting > 0)) await sleep(50);
}

/** What a member takes at its quota, and while nothing happens, with so many instances. */
async function atWork(url: string, instances: number): Promise<void> {
  const member = String(2000 + instances);
  const those = Array.from({ length: instances }, (_, at) => instanceOf(url, `node-${at + 1}`, member));
  while (!those.some((each) => each.stats().shared?.isSender === true)) await sleep(50);
  await sleep(2_000);
  for (const each of those) {
    const isSender = each.stats().shared?.isSender === true;
    await idleLatency(`${instances} instance(s), taken by ${isSender ? 'the sender' : 'another'}`, each);
  }
  const seconds = 10;
  for (const perSecond of [10, 100, 900])
    await measured(`${instances} instance(s), ${perSecond} messages/s`, seconds * perSecond, 'entry', () =>
      feed(those, perSecond, seconds),
    );
  await measured(`${instances} instance(s), idle`, seconds, 'second', () => sleep(seconds * 1000));
  for (const each of those) await each.close();
}

async function main(): Promise<void> {
  const server = await findPostgres(1);
  if (server === null) throw new Error('This needs an installed PostgreSQL.');
  admin = await postgresAt(server.url);
  const log = new PostgresLog({ url: server.url, ...queue });
  try {
    const [version] = (await admin.query<{ server_version: string }>('SHOW server_version')).rows;
    console.log(
      `PostgreSQL ${version!.server_version}, ${entries} entries, load ${loadavg()[0]!.toFixed(2)}`,
    );
    for (const segments of [1, 10])
      console.log(`body with ${segments}: ${bodyOf(1, segments).length} characters`);
    await log.open();
    await log.claim(other, false, null, leaseMs);
    const { fencingToken: token } = await log.claim(sender, true, null, leaseMs);
    const store = log.store(sender, token);
    await store.open();
    for (const segments of [1, 10]) {
      const { heap, all } = await tableBytes();
      await measured(`append, ${segments} segment(s), 1000 a batch`, entries, 'entry', () =>
        fill(log, sender, entries, 1000, segments),
      );
      const now = await tableBytes();
      console.log(
        `  on disk ${((now.heap - heap) / entries).toFixed(0)} bytes, with indexes ${((now.all - all) / entries).toFixed(0)}`,
      );
      await measured(`send, ${segments} segment(s), 100 a post`, entries, 'entry', () =>
        sendAll(store, 100, false),
      );
      await admin.query(`VACUUM ${schema}.entry`);
    }
    const few = Math.min(entries, 10_000);
    await measured('append one at a time', few, 'entry', () => fill(log, other, few, 1, 1));
    await measured('send them, 1 a post, told to another instance', few, 'entry', () =>
      sendAll(store, 1, true),
    );
    await readOutcomes(log);
    await fill(log, other, entries, 1000, 1);
    await measured('send, 100 a post, told to another instance', entries, 'entry', () =>
      sendAll(store, 100, true),
    );
    await measured('the same, read by it', entries, 'entry', () => readOutcomes(log));
    await admin.query('VACUUM');
    const empty = await tableBytes();
    console.log(`  the empty table, after VACUUM: ${empty.all} bytes`);
    await measured('a claim of one that stands by', idleClaims, 'claim', async () => {
      for (let at = 0; at < idleClaims; at += 1) await log.claim(other, true, null, leaseMs);
    });
    await measured('a claim of the one that sends', idleClaims, 'claim', async () => {
      for (let at = 0; at < idleClaims; at += 1) await log.claim(sender, true, token, leaseMs);
    });
    for (const instances of [1, 2, 3]) await atWork(server.url, instances);
    console.log(`load at the end ${loadavg()[0]!.toFixed(2)}`);
    await store.close();
  } finally {
    await log.close(other);
    await admin.end();
    await server.stop();
  }
}

void main();
