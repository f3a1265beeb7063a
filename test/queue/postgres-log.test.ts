// Shared log in a real database: broken connections, rights, other versions, and another user's connections.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Client } from 'pg';

import type { QueueError } from '../../src/queue/store';
import { systemClock, type Clock } from '../../src/clock';
import { callMs } from '../../src/queue-postgres/postgres-line';
import type { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { schemaOf, steps } from '../../src/queue-postgres/postgres-schema';
import type { News } from '../../src/queue/shared-log';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { postgresAt } from '../support/services';
import { FaultyWay } from './faulty-way';
import { batchOf, codeOf, errorOf, readAll, seqs, sharedRow } from './rows';
import { hold, leaseMs, one, processNamed, TestDatabase, two, type PostgresQueue } from './shared-stores';

const secret = 'geheim%/21';

/**
 * A clock with short waits between two tries. Timeouts for answers keep their length, as a busy machine needs
 * them.
 */
const quickClock: Clock = {
  ...systemClock,
  after: (delayMs, call) => systemClock.after(delayMs === callMs ? delayMs : delayMs / 20, call),
};

/** The same with short timeouts for answers. */
const quickerClock: Clock = {
  ...systemClock,
  after: (delayMs, call) => systemClock.after(delayMs / 20, call),
};

/** The same with timeouts for answers that end when the test says so. */
class WatchedClock implements Clock {
  readonly #due = new Set<() => void>();
  readonly monoMs = systemClock.monoMs.bind(systemClock);
  readonly sleptMs = systemClock.sleptMs.bind(systemClock);
  readonly wallMs = systemClock.wallMs.bind(systemClock);
  readonly endOfTurn = systemClock.endOfTurn.bind(systemClock);

  after(delayMs: number, call: () => void): () => void {
    if (delayMs !== callMs) return quickClock.after(delayMs, call);
    this.#due.add(call);
    return () => this.#due.delete(call);
  }

  /** Every timeout for an answer ends. */
  answersAreLate(): void {
    for (const call of this.#due) call();
    this.#due.clear();
  }
}

function ended(seq: number) {
  return { seq, source: { node: 'out', account: 'account' }, instance: 'two', report: `end of ${seq}` };
}

function soon(check: () => boolean, what: string): Promise<void> {
  return until(() => Promise.resolve(check()), 10_000, what);
}

describe('the shared log on PostgreSQL', function () {
  this.timeout(60_000);
  const cleanUp = cleanUps();
  const cleanUpEach = cleanUps(afterEach);
  let database: TestDatabase;
  let queue: PostgresQueue;
  before(async function () {
    database = await TestDatabase.find(this, cleanUp);
  });
  beforeEach(() => void (queue = database.queue()));
  afterEach(() => queue.end());

  async function ends(log: PostgresLog): Promise<number[]> {
    const outcomes = await log.outcomes(two, [], 10_000);
    return outcomes.flatMap(({ text }) => (JSON.parse(text) as { seq: number }[]).map(({ seq }) => seq));
  }

  async function openWay(): Promise<FaultyWay> {
    const way = await FaultyWay.to(database.url);
    cleanUpEach(() => way.close());
    return way;
  }

  /** A connection in whose transaction a table of the queue is locked. */
  async function locked(table: string): Promise<Client> {
    const client = await postgresAt(database.url);
    cleanUpEach(() => client.end());
    await client.query('BEGIN');
    await client.query(`LOCK TABLE ${queue.schema}.${table}`);
    return client;
  }

  /** Number of calls that wait for a lock. */
  async function waiting(): Promise<number> {
    const blocked = await database.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return blocked.length;
  }

  describe('with broken connections', () => {
    it('leaves no connection behind when it is closed during its opening', async () => {
      const others = async (): Promise<number> => {
        const [found] = await database.query(
          `SELECT count(*)::int AS many FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()`,
        );
        return (found as { many: number }).many;
      };
      const before = await others();
      const log = queue.closed();
      const opening = log.open();
      await log.close(one);
      await assert.rejects(opening, /it was closed while it was being opened/);
      await until(async () => (await others()) === before, 5_000, 'its connections end');
    });

    it('carries out every commit and every batch once, whenever connections are ended', async () => {
      const [log, other] = [await queue.log(), await queue.log()];
      const count = 60;
      await other.append(
        batchOf(
          'before',
          1,
          seqs(1, count).map((user) => sharedRow(user)),
        ),
      );
      const { store } = await hold(log);
      const done = new AbortController();
      const killer = (async () => {
        while (!done.signal.aborted) {
          await sleep(Math.random() * 25);
          await database.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'instant audience' AND random() < 0.7`,
          );
        }
      })();
      /** Repeats a call that did not reach the database, as the engine does. */
      async function handIn<T>(call: () => Promise<T>): Promise<T> {
        for (;;) {
          try {
            return await call();
          } catch (error) {
            assert.equal((error as QueueError).code, 'unavailable');
          }
        }
      }
      const appends = (async () => {
        for (let number = 1; number <= count; number++)
          await handIn(() => other.append(batchOf('one', number, [sharedRow(number)])));
      })();
      for (const seq of seqs(1, count))
        await handIn(() =>
          store.commit({
            remove: [seq],
            begin: [{ post: seq, userHashes: [seq] }],
            outcomes: [ended(seq)],
          }),
        );
      await appends;
      done.abort();
      await killer;
      const told = await handIn(() => ends(other));
      assert.deepEqual(told, seqs(1, count));
      await handIn(() => store.close());
      const opened = await handIn(() => store.open());
      const rows = await readAll(store);
      assert.deepEqual(
        rows.map(({ userHash }) => userHash),
        seqs(1, count),
      );
      assert.deepEqual([opened.waiting, opened.lastSeq, opened.recovered.length], [count, 2 * count, count]);
    });

    it('keeps a commit with a lost answer pending until it is known to be carried out', async () => {
      const way = await openWay();

      const [far, near] = [await queue.log(0, { url: way.url, clock: quickClock }), await queue.log()];
      await near.append(batchOf('two', 1, [sharedRow(1), sharedRow(2)]));
      const { store } = await hold(far);
      way.losesAnswers = true;
      let settled = false;
      const commit = store.commit({ remove: [1], outcomes: [ended(1)] }).finally(() => (settled = true));
      await until(async () => (await ends(near)).length === 1, 5_000, 'the outcome');
      way.refuses = true;
      way.breakClients();
      await sleep(100);
      assert.equal(settled, false);
      way.refuses = way.losesAnswers = false;
      await commit;
      await store.commit({ remove: [2], outcomes: [ended(2)] });
      assert.deepEqual(await ends(near), [1, 2]);
    });

    it('ignores a commit that arrives after it was sent again', async () => {
      const way = await openWay();

      const [far, near] = [await queue.log(0, { url: way.url, clock: quickClock }), await queue.log()];
      await near.append(batchOf('two', 1, [sharedRow(1), sharedRow(2)]));
      const { store } = await hold(far);
      way.holdsCalls = true;
      const commit = store.commit({ remove: [1], outcomes: [ended(1)] });
      await soon(() => way.heldBytes > 0, 'a call on its way');
      way.breakClients();
      way.holdsCalls = false;
      await commit;
      way.deliver();
      await sleep(100);
      await store.commit({ remove: [2], outcomes: [ended(2)] });
      assert.deepEqual(await ends(near), [1, 2]);
    });

    for (const { takeovers, knows, code } of [
      { takeovers: 1, knows: 'knows that a commit was carried out', code: 'none' },
      { takeovers: 16, knows: 'knows that a commit was carried out', code: 'none' },
      { takeovers: 17, knows: 'does not know any more what became of a commit', code: 'fenced' },
    ]) {
      it(`${knows} when the lease was won ${takeovers} times meanwhile`, async () => {
        const way = await openWay();

        const [far, near] = [await queue.log(0, { url: way.url, clock: quickClock }), await queue.log()];
        await near.append(batchOf('two', 1, [sharedRow(1), sharedRow(2)]));
        const { store } = await hold(far);
        way.losesAnswers = true;
        const commit = codeOf(() => store.commit({ remove: [1], outcomes: [ended(1)] }));
        await until(async () => (await ends(near)).length === 1, 5_000, 'the outcome');
        way.refuses = true;
        way.breakClients();
        await queue.pass(leaseMs + 1);
        const { store: next } = await hold(near, two);
        await next.commit({ repeat: [2] });
        for (let taken = 1; taken < takeovers; taken++) await near.claim(two, true, null, leaseMs);
        way.refuses = way.losesAnswers = false;
        assert.equal(await commit, code);
        assert.deepEqual(await ends(near), [1]);
        assert.equal(await codeOf(() => store.commit({ remove: [2] })), 'fenced');
        assert.equal((await next.read('add', 0, 9, 9)).length, 1);
      });
    }

    it('ends the lease with the connection of its holder', async () => {
      const [far, near] = [await queue.log(), await queue.log()];
      await far.claim(one, true, null, leaseMs);
      assert.equal((await near.claim(two, true, null, leaseMs)).ours, false);
      const ended = await database.query(
        `SELECT pg_terminate_backend(holder_pid) FROM ${queue.schema}.lease`,
      );
      assert.equal(ended.length, 1);
      await until(async () => (await near.claim(two, true, null, leaseMs)).ours, 5_000, 'the lease');
      assert.equal((await far.claim(one, true, 1, leaseMs)).ours, false);
    });

    it('leaves the lease behind a pooler to its holder, whose connection it cannot tell', async () => {
      const [far, near] = [await queue.log(), await queue.log()];
      await far.claim(one, true, null, leaseMs);
      // A pooler hides the number of the backend from its client.
      const [row] = await database.query<{ pid: number }>(
        `UPDATE ${queue.schema}.lease AS new SET holder_pid = NULL FROM ${queue.schema}.lease AS old RETURNING old.holder_pid AS pid`,
      );
      await database.query('SELECT pg_terminate_backend($1)', [row!.pid]);
      await sleep(200);
      assert.equal((await near.claim(two, true, null, leaseMs)).ours, false);
    });

    it('detects that a commit was carried out before the lease was released', async () => {
      const way = await openWay();

      const [far, near] = [await queue.log(0, { url: way.url, clock: quickClock }), await queue.log()];
      await near.append(batchOf('two', 1, [sharedRow(1)]));
      const { token, store } = await hold(far);
      way.losesAnswers = true;
      const commit = codeOf(() => store.commit({ remove: [1], outcomes: [ended(1)] }));
      await until(async () => (await ends(near)).length === 1, 5_000, 'the outcome');
      await near.release(one, token);
      way.losesAnswers = false;
      way.breakClients();
      assert.equal(await commit, 'none');
      assert.equal(await codeOf(() => store.commit({ repeat: [1] })), 'fenced');
    });

    it('reports that the lease was lost while the result of a commit was unknown', async () => {
      const way = await openWay();

      const [far, near] = [await queue.log(0, { url: way.url, clock: quickClock }), await queue.log()];
      await near.append(batchOf('two', 1, [sharedRow(1)]));
      const { store } = await hold(far);
      way.holdsCalls = true;
      const commit = codeOf(() => store.commit({ remove: [1], outcomes: [ended(1)] }));
      await soon(() => way.heldBytes > 0, 'a call on its way');
      way.refuses = true;
      way.breakClients();
      await queue.pass(leaseMs + 1);
      const { store: next } = await hold(near, two);
      way.deliver();
      way.holdsCalls = way.refuses = false;
      assert.equal(await commit, 'fenced');
      assert.equal((await readAll(next)).length, 1);
      assert.deepEqual(await ends(near), []);
    });

    it('rejects calls that cannot reach the database, and continues when they can', async () => {
      const way = await openWay();

      const log = await queue.log(0, { url: way.url, clock: quickClock });
      const news: News['kind'][] = [];
      log.onNews(({ kind }) => news.push(kind));
      const { store } = await hold(log);
      await soon(() => news.includes('connected'), 'news of the connection');
      way.refuses = true;
      way.breakClients();
      await soon(() => news.includes('lost'), 'news of the loss');
      const calls = [
        () => log.append(batchOf('two', 1, [sharedRow(1)])),
        () => log.claim(one, true, 1, leaseMs),
        () => store.commit({ remove: [1] }),
        () => store.read('add', 0, 9, 9),
        () => log.outcomes(one, [], 9),
      ];
      for (const call of calls) assert.equal(await codeOf(call), 'unavailable');
      way.refuses = false;
      for (const call of calls) assert.equal(await codeOf(call), 'none');
      const isBack = (): boolean => news.lastIndexOf('connected') > news.lastIndexOf('lost');
      await soon(isBack, 'news of the connection');
    });

    it('does not use a connection again after a call on it broke', async () => {
      const log = await queue.log();
      const blocking = await locked('lease');
      const claim = codeOf(() => log.claim(one, true, null, leaseMs));
      await until(async () => (await waiting()) > 0, 10_000, 'a call that waits');
      await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      assert.equal(await claim, 'unavailable');
      const again = codeOf(() => log.claim(one, true, null, leaseMs));
      await blocking.query('ROLLBACK');
      assert.equal(await again, 'none');
    });

    it('starts no other call while the database works on an abandoned one', async () => {
      const clock = new WatchedClock();
      const log = await queue.log(0, { clock });
      const append = (): Promise<string> => codeOf(() => log.append(batchOf('one', 1, [sharedRow(1)])));
      await append();
      const blocking = await locked('total');
      const second = errorOf(() => log.append(batchOf('one', 2, [sharedRow(2)])));
      await until(async () => (await waiting()) === 1, 10_000, 'a call that waits');
      clock.answersAreLate();
      assert.match((await second)!.message, /no answer within 5 s/);
      for (let tries = 1; tries <= 5; tries++) {
        const third = await errorOf(() => log.append(batchOf('one', 2, [sharedRow(2)])));
        assert.equal(third?.code, 'unavailable');
        assert.match(third.message, /still at work on an earlier statement/);
        assert.equal(await waiting(), 1);
      }
      await blocking.query('ROLLBACK');
      await until(
        async () => (await codeOf(() => log.append(batchOf('one', 2, [sharedRow(2)])))) === 'none',
        10_000,
        'an answer',
      );
      assert.equal((await log.claim(one, false, null, leaseMs)).lastSeq, 2);
    });

    it('lets the database time out on a lock before the caller does', async () => {
      const log = await queue.log();
      await locked('total');
      const error = await errorOf(() => log.append(batchOf('one', 1, [sharedRow(1)])));
      assert.equal(error?.code, 'unavailable');
      assert.match(error.message, /lock timeout/);
      assert.equal(await waiting(), 0);
    });

    it('prevents abandoned calls from being carried out after a later call', async () => {
      const way = await openWay();

      const log = await queue.log(0, { url: way.url, clock: quickClock });
      await log.meta.setMeta('paused', 'no');
      way.holdsCalls = true;
      const given = codeOf(() => log.meta.setMeta('paused', 'yes'));
      await soon(() => way.heldBytes > 0, 'a call on its way');
      way.breakClients();
      assert.equal(await given, 'unavailable');
      way.holdsCalls = false;
      assert.equal(await log.meta.getMeta('paused'), 'no');
      way.deliver();
      await sleep(200);
      assert.equal(await log.meta.getMeta('paused'), 'no');
    });

    it('abandons a database that does not answer in time', async () => {
      const way = await openWay();

      const clock = new WatchedClock();
      const log = await queue.log(0, { url: way.url, clock });
      const { store } = await hold(log);
      for (const call of [() => log.claim(one, true, 1, leaseMs), () => store.read('add', 0, 9, 9)]) {
        way.holdsCalls = true;
        const failing = errorOf(call);
        let isOver = false;
        void failing.then(() => (isOver = true));
        await soon(() => {
          clock.answersAreLate();
          return isOver;
        }, 'an end of the call');
        const error = await failing;
        assert.equal(error?.code, 'unavailable');
        assert.match(error.message, /no answer within 5 s/);
        way.holdsCalls = false;
        way.deliver();
      }
      assert.equal((await log.claim(one, true, 1, leaseMs)).fencingToken, 1);
    });

    it('accepts an answer that arrived in time, though the process slept past the timeout', async () => {
      const way = await openWay();

      const clock = new WatchedClock();
      const log = await queue.log(0, { url: way.url, clock });
      const news: News['kind'][] = [];
      log.onNews(({ kind }) => news.push(kind));
      const { token } = await hold(log);
      await soon(() => news.includes('connected'), 'news of the connection');
      way.holdsAnswers = true;
      const claim = log.claim(one, true, token, leaseMs);
      await soon(() => way.heldAnswerBytes > 0, 'an answer');
      // Timers run first, as when a process wakes up.
      await sleep(1);
      way.deliverAnswers();
      clock.answersAreLate();
      assert.equal((await claim).fencingToken, token);
    });

    it('closes, though the database has silently disappeared', async () => {
      const way = await openWay();

      let clock = systemClock;
      const after: Clock['after'] = (delayMs, call) => clock.after(delayMs, call);
      const log = await queue.log(0, { url: way.url, clock: { ...systemClock, after } });
      await log.append(batchOf('one', 1, [sharedRow(1)]));
      const { store } = await hold(log);
      way.vanishes = true;
      clock = quickerClock;
      const closed = Promise.all([store.close(), log.close(one)]);
      const inTime = await Promise.race([closed.then(() => true), sleep(10_000, false, { ref: false })]);
      assert.equal(inTime, true);
    });

    it('uses the next of several hosts', async () => {
      const url = new URL(database.url);
      const hosts = `postgres://${url.username}@127.0.0.1:9,${url.host}${url.pathname}`;
      const log = await queue.log(0, { url: hosts });
      assert.equal((await log.claim(one, true, null, leaseMs)).ours, true);
    });
  });

  it('stores many outcomes of one commit in several rows', async () => {
    const log = await queue.log();
    const many = seqs(1, 2_500);
    await log.append(
      batchOf(
        'two',
        1,
        many.map((user) => sharedRow(user)),
      ),
    );
    const { store } = await hold(log);
    await store.commit({ remove: many, outcomes: many.map(ended) });
    const outcomes = await log.outcomes(two, [], 10);
    const told = outcomes.map(({ text }) => (JSON.parse(text) as { seq: number }[]).map(({ seq }) => seq));
    assert.deepEqual(
      told.map(({ length }) => length),
      [1_000, 1_000, 500],
    );
    assert.deepEqual(told.flat(), many);
  });

  describe('and its schema', () => {
    it('is created once by many instances that start at the same time', async () => {
      const logs = await Promise.all(seqs(1, 6).map(() => queue.log()));
      const claims = await Promise.all(
        logs.map((log, at) => log.claim(processNamed(`${at}`), true, null, leaseMs)),
      );
      assert.equal(claims.filter(({ ours }) => ours).length, 1);
      assert.equal((await database.query(`SELECT * FROM ${queue.schema}.total`)).length, 1);
    });

    it('is migrated by one of many, with its content; an older version leaves it unchanged', async () => {
      const old = await queue.log();
      await old.append(batchOf('one', 1, [sharedRow(1)]));
      const newer = [...steps, (schema: string) => [`ALTER TABLE ${schema}.meta ADD COLUMN more text`]];
      const logs = await Promise.all(seqs(1, 4).map(() => queue.log(0, { steps: newer })));
      assert.equal((await logs[0]!.claim(one, true, null, leaseMs)).waiting, 1);
      const error = await errorOf(() => queue.log());
      assert.equal(error?.code, 'newer_version');
      assert.match(error.message, new RegExp(`"${queue.schema}".*format 2; this version reads up to 1`));
    });

    it('has a distinct name for each member and service, whatever their characters', () => {
      const names = [
        schemaOf({ origin: 'https://a', member: '1' }),
        schemaOf({ origin: 'https://b', member: '1' }),
        schemaOf({ origin: 'https://a', member: 'Ü "; DROP TABLE x' }),
        schemaOf({ origin: 'https://a', member: 'Ü "; DROP TABLE  x' }),
        schemaOf({ origin: 'https://a', member: 'm'.repeat(200) }),
      ];
      assert.equal(new Set(names).size, names.length);
      for (const name of names) assert.match(name, /^instant_audience_[a-z0-9_]{9,46}$/);
      assert.match(names[0]!, /^instant_audience_1_[0-9a-f]{8}$/);
    });
  });

  describe('and rights', () => {
    const role = `instant_audience_${process.pid}_user`;
    let url: string;
    beforeEach(async () => {
      await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
      const changed = new URL(database.url);
      changed.username = role;
      changed.password = encodeURIComponent(secret);
      url = changed.href;
    });
    afterEach(async () => {
      await queue.end();
      await database.query(`DROP OWNED BY ${role} CASCADE`);
      await database.query(`DROP ROLE ${role}`);
      await database.query('GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify TO PUBLIC');
    });

    /** Uses every function of an instance. */
    async function useAll(): Promise<void> {
      const log = await queue.log(0, { url });
      await log.append(batchOf('one', 1, [sharedRow(1), sharedRow(2)]));
      const { token, store } = await hold(log);
      await store.read('add', 0, 9, 9);
      await store.rowsOfUsers([{ userHash: 1, afterSeq: 0, throughSeq: 9 }], 9);
      await store.commit({
        remove: [1],
        repeat: [2],
        begin: [{ post: 1, userHashes: [1] }],
        unknown: [{ post: 2, untilWallMs: 1 }],
        settle: [3],
        outcomes: [{ ...ended(1), instance: 'one' }],
      });
      await store.setMeta('a', 'b');
      assert.equal(await log.meta.getMeta('a'), 'b');
      const [outcomes] = await log.outcomes(one, [], 9);
      assert.deepEqual(await log.outcomes(one, [outcomes!.id], 9), []);
      await log.setPaused(true);
      await log.flush();
      const id = await log.requestDeletion({ throughSeq: 1, askedMs: 2, user: { keys: ['k'], id: 'u' } });
      await log.finishDeletion(one, token, id, { entries: 3, inFlight: 4, segments: 5 });
      assert.deepEqual((await log.deletions())[0]?.result, { entries: 3, inFlight: 4, segments: 5 });
      await log.release(one, token);
    }

    it('needs the right to create a schema in the database, and no other', async () => {
      const error = await errorOf(() => queue.log(0, { url }));
      assert.equal(error?.code, 'readonly');
      const named = new URL(database.url).pathname.slice(1);
      assert.ok(error.message.includes(`GRANT CREATE ON DATABASE "${named}"`), error.message);
      assert.ok(error.message.includes(`CREATE SCHEMA "${queue.schema}" AUTHORIZATION`), error.message);
      await database.query(`GRANT CREATE ON DATABASE ${named} TO ${role}`);
      await useAll();
      await database.query(`REVOKE CREATE ON DATABASE ${named} FROM ${role}`);
      await useAll();
    });

    it('needs no right in the database when its schema exists and is accessible', async () => {
      await database.query(`CREATE SCHEMA ${queue.schema} AUTHORIZATION ${role}`);
      await useAll();
    });

    it('works without notifications where the database has none', async () => {
      await database.query(`CREATE SCHEMA ${queue.schema} AUTHORIZATION ${role}`);
      await database.query('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify FROM PUBLIC');
      await useAll();
    });

    it('reports that a standby, or any read-only server, accepts no changes', async () => {
      await queue.log();
      await database.query(`ALTER ROLE ${role} SET default_transaction_read_only = on`);
      await database.query(`GRANT USAGE ON SCHEMA ${queue.schema} TO ${role}`);
      await database.query(`GRANT ALL ON ALL TABLES IN SCHEMA ${queue.schema} TO ${role}`);
      const error = await errorOf(() => queue.log(0, { url }));
      assert.equal(error?.code, 'readonly');
      assert.match(error.message, /accepts no changes/);
    });

    it('continues when the server was read-only at first and accepts changes again', async () => {
      await database.query(`CREATE SCHEMA ${queue.schema} AUTHORIZATION ${role}`);
      const log = await queue.log(0, { url });
      const news: News['kind'][] = [];
      log.onNews(({ kind }) => news.push(kind));
      const { store } = await hold(log);
      await soon(() => news.includes('connected'), 'news of the connection');
      const changes = [
        () => log.append(batchOf('two', 1, [sharedRow(1)])),
        () => log.claim(one, true, 1, leaseMs),
        () => store.commit({ remove: [1] }),
      ];
      // Applies to connections that are created from now on, as long as they live.
      await database.query(`ALTER ROLE ${role} SET default_transaction_read_only = on`);
      await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`,
      );
      await soon(() => news.includes('lost'), 'news of the loss');
      for (const change of changes)
        await until(async () => (await codeOf(change)) === 'readonly', 10_000, 'a refusal');
      await database.query(`ALTER ROLE ${role} RESET default_transaction_read_only`);
      for (const change of changes) assert.equal(await codeOf(change), 'none');
      await soon(() => news.lastIndexOf('connected') > news.lastIndexOf('lost'), 'news of the connection');
    });

    it('shows no password, whatever goes wrong', async () => {
      const at = new URL(url);
      const changed = (change: (other: URL) => void): string => {
        const other = new URL(url);
        change(other);
        return other.href;
      };
      const cases: [url: string, code: QueueError['code'], says: RegExp][] = [
        [url, 'readonly', /GRANT CREATE/],
        [
          changed((other) => (other.port = '9')),
          'unavailable',
          /cannot be reached at 127\.0\.0\.1:9, database/,
        ],
        [changed((other) => (other.username = 'nobody')), 'unavailable', /refuses the login/],
        [changed((other) => (other.pathname = '/none')), 'unavailable', /does not exist at .*database none/],
        [
          changed((other) => other.searchParams.set('sslmode', 'nonsense')),
          'unavailable',
          /sslmode is disable/,
        ],
        [`postgres://${role}:${secret}@${at.host}/x`, 'unavailable', /has the form postgres:/],
        [
          `mysql://${role}:${encodeURIComponent(secret)}@${at.host}/x`,
          'unavailable',
          /has the form postgres:/,
        ],
      ];
      for (const [wrong, code, says] of cases) {
        const error = await errorOf(() => queue.log(0, { url: wrong }));
        assert.equal(error?.code, code, error?.message);
        assert.match(error.message, says);
        const all = inspect(error, { depth: 9, showHidden: true });
        for (const word of [secret, encodeURIComponent(secret), wrong]) assert.ok(!all.includes(word), all);
      }
    });
  });
});
