// One message of 60,000 entries (250,000 in a long run) for a shared queue in a real PostgreSQL that is away: it is buffered in a real
// file, and handed over when the database is back, in short statements.
import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { checkEntry } from '../../src/entry/check';
import type { CheckedEntry } from '../../src/entry/entry';
import { systemClock } from '../../src/clock';
import { commonOf } from '../../src/delivery/engine-options';
import { SharedProducer } from '../../src/delivery/shared/shared-producer';
import { LocalBuffer } from '../../src/delivery/shared/local-buffer';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import type { Appended, Batch } from '../../src/queue/shared-log';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { TestDatabase } from './shared-stores';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { Relay } from '../support/relay';
import { count, since, tell } from '../process/measured';

const entries = Number(process.env.LARGE_MESSAGE ?? 60_000);
const queue = { origin: 'https://service.test', member: '1' };

class WatchedLog extends PostgresLog {
  mostRows = 0;

  override append(batch: Batch): Promise<Appended> {
    this.mostRows = Math.max(this.mostRows, batch.rows.length);
    return super.append(batch);
  }
}

function entryOf(user: number): CheckedEntry {
  const id = `1ba98a6c-d1a5-49ef-ad1c-${String(user).padStart(12, '0')}`;
  const checked = checkEntry({ user_id: id, domain: 'idfa', seg_block: [{ seg_id: 1, expiration: 60 }] });
  assert.ok(checked.ok);
  return checked.entry;
}

describe(`a message of ${entries.toLocaleString('en')} entries for a shared queue`, function () {
  this.timeout(180_000);
  const ends = cleanUps();
  let database: TestDatabase;

  before(async function () {
    database = await TestDatabase.find(this, ends);
  });

  it('is buffered while the database is away, and handed over when it is back', async () => {
    const startedMs = performance.now();
    const folder = await mkdtemp(path.join(tmpdir(), 'large-'));
    ends(() => rm(folder, { recursive: true, force: true }));
    const relay = await Relay.open(database.url);
    ends(() => relay.close());
    const url = new URL(database.url);
    url.port = new URL(relay.url).port;
    const me = { id: 'one', name: 'node-1' };
    const log = new WatchedLog({ url: url.href, ...queue });
    await log.open();
    ends(() => log.close(me));
    const localBuffer = new LocalBuffer(new SqliteStore(path.join(folder, 'kept.sqlite'), {}), log, me.id);
    const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };
    const caps = { queueMaxEntries: 5_000_000, queueMaxBytes: 2_048_000_000 };
    const producer = new SharedProducer({
      common: commonOf({ clock: systemClock, random: Math.random, limits, ...caps }),
      log,
      localBuffer,
      instance: me.id,
      takesOneMore: () => false,
      appended: () => undefined,
    });
    ends(() => producer.close());
    producer.start();
    await relay.close();
    const told: MessageEnd[] = [];
    producer.submit({
      source: { node: 'out', account: 'account' },
      entries: Array.from({ length: entries }, (_, user) => entryOf(user)),
      indexes: null,
      completeOn: 'queued',
      onEnd: (end) => told.push(end),
    });
    await until(
      () => Promise.resolve(told.length > 0),
      60_000,
      () => `its end; ${producer.kept} are kept`,
    );
    assert.deepEqual([told[0]!.kind, producer.kept], ['queued', entries]);
    const keptMs = performance.now();
    await relay.reopen();
    await until(
      () => Promise.resolve(producer.kept === 0),
      60_000,
      () => `an empty file; ${producer.kept} are kept; ${producer.way.trouble?.message}`,
    );
    const [found] = await database.query<{ rows: number; ordered: number }>(
      `SELECT count(*)::int AS rows,
        count(*) FILTER (WHERE body LIKE '%' || lpad((seq - 1)::text, 12, '0') || '"%')::int AS ordered
       FROM ${schemaOf(queue)}.entry`,
    );
    assert.deepEqual(found, { rows: entries, ordered: entries });
    assert.ok(log.mostRows <= 1_000, `${log.mostRows} rows in one statement`);
    tell(count(entries, 'entries kept'), `and handed over ${since(keptMs)}`, since(startedMs));
  });
});
