// SQL statements of a shared queue on PostgreSQL, for one schema. Each is one transaction in one round trip, so
// that a client that is frozen, disconnected or killed leaves no transaction open. Table names are complete.
// Numbers are returned as floats, which hold them exactly and reach JavaScript as numbers.
//
// If another transaction changes a row meanwhile, PostgreSQL evaluates the WHERE again on the new version, but
// the rest of the statement uses the snapshot of its start
// (https://www.postgresql.org/docs/current/transaction-iso.html, 13.2.1). So every deciding condition is in the
// WHERE of the locked row.

import { bucketOf, logSql } from '../queue/log-sql';
import { backendStart, ownStart } from './abandoned-connections';
import { aliveMs } from '../queue/shared-log';
import type { MemberChange, SyncState } from '../queue/sync-store';
import { memberParts, statesPart } from './postgres-sync-sql';

/**
 * Interval at which an instance records that it is alive: long, so that an idle instance rarely writes to disk.
 */
const noteMs = 5_000;

const epochMs = 'extract(epoch FROM clock_timestamp())::float8 * 1000';
/** Number of earlier epochs whose carried-out commits are known. */
const basesKept = 16;

const alive = `seen_at >= clock_timestamp() - interval '${aliveMs + noteMs} ms'`;
/** Deletions that some living instance may not have read yet. */
const mayBeUnread = `coalesce(done_at >= clock_timestamp() - interval '${aliveMs + noteMs} ms', true)`;

const columns =
  'seq::float8 AS seq, lane, state, "user"::float8 AS "user", source, event_wall, taken_wall, body';

/** SQL for outcomes of an instance that is gone: it has neither claimed nor appended for a while. */
function isGone(schema: string): string {
  const living = ['instance', 'producer'].map((table) => `SELECT id FROM ${schema}.${table} WHERE ${alive}`);
  return `instance NOT IN (${living.join(' UNION ALL ')})`;
}

/**
 * Notifications use one channel with the schema's name: `rows`, `lease`, `control`, or `outcomes ID` for one
 * instance.
 */
export function postgresSql(schema: string, notifies: boolean) {
  const shared = logSql({
    table: (name) => `${schema}.${name}`,
    byNumber: '',
    byIndex: () => '',
    at: (place) => `$${place}`,
    columns: '*',
  });
  const notify = (news: string): string => (notifies ? `pg_notify('${schema}', ${news})` : 'NULL');
  const page = (read: string): string => `SELECT ${columns} FROM (${read}) AS page ORDER BY seq`;
  return {
    readAdds: page(shared.readAdds),
    readRemovals: page(shared.readRemovals),
    readBulk: page(shared.readBulk),
    /**
     * Parameters: 1 hashes, 2 and 3 numbers after and through which, 4 limit of rows for each; `place`: of the range,
     * from 1. Looks into bucket after bucket, in order, until it has enough. `seq + 0`, or the planner would also read
     * the whole range by the primary key. No `generate_series`, of which the planner expects so much that it compiles the
     * statement, which takes half a second. Both joins are lateral, so the buckets are visited in order, and the limit
     * cuts off the last rows.
     */
    rowsOf: `
      SELECT place::float8 AS place, ${columns}
      FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS range (whose, after_seq, through_seq, place)
      CROSS JOIN LATERAL (
        WITH RECURSIVE bucket (n) AS (
          SELECT ${bucketOf(`greatest(after_seq, (${shared.firstSeq}) - 1)`)}
          UNION ALL
          SELECT n + 1 FROM bucket WHERE n < ${bucketOf(`least(through_seq, (${shared.lastSeq}))`)}
        )
        SELECT entry.* FROM bucket CROSS JOIN LATERAL (
          SELECT * FROM ${schema}.entry
          WHERE ${bucketOf('seq')} = n AND "user" = whose AND seq + 0 > after_seq AND seq + 0 <= through_seq
          ORDER BY seq
        ) AS entry
        LIMIT $4::bigint
      ) AS entry
      ORDER BY place, entry.seq`,
    getMeta: shared.getMeta,
    setMeta: shared.setMeta,
    replaceMeta: `
      WITH changed AS (UPDATE ${schema}.meta SET value = $3 WHERE key = $1 AND value = $2 RETURNING key), added AS (
        INSERT INTO ${schema}.meta (key, value) SELECT $1, $3 WHERE $2::text IS NULL
        ON CONFLICT (key) DO NOTHING RETURNING key
      )
      SELECT key FROM changed UNION ALL SELECT key FROM added`,
    oldest: shared.oldest,
    ...appendSql(schema, notify),
    ...leaseSql(schema, notify),
    ...storeSql(schema, notify),
    ...outcomeSql(schema),
    ...controlSql(schema, notify),
  };
}

type Notify = (news: string) => string;

function appendSql(schema: string, notify: Notify) {
  return {
    /**
     * Parameters: 1 producer, 2 batch sequence, 3 rows, 4 chars, 5 and 6 the limits, then the columns; 14 to 16: segments
     * and states of syncs, and the fencing token that allows them, or null: its lease stays until the append has ended. If another connection appended the batch meanwhile, `through` is null, which the column refuses; if it was
     * there before, nothing is appended.
     */
    append: `
      WITH fence AS MATERIALIZED (
        SELECT FROM ${schema}.lease WHERE id = 1 AND fencing_token = $16::bigint FOR SHARE
      ), room AS (
        UPDATE ${schema}.total
        SET last_seq = last_seq + $3::bigint, waiting = waiting + $3::bigint, chars = chars + $4::bigint
        WHERE id = 1 AND waiting + $3::bigint <= $5::float8 AND chars + $4::bigint <= $6::float8
          AND NOT EXISTS (SELECT FROM ${schema}.producer WHERE id = $1 AND through >= $2::bigint)
          AND ($16::bigint IS NULL OR EXISTS (SELECT FROM fence))
        RETURNING last_seq - $3::bigint AS before
      ), advanced AS (
        INSERT INTO ${schema}.producer AS s (id, through, first_seq, last_seq, seen_at)
        SELECT $1, $2::bigint, before + 1, before + $3::bigint, clock_timestamp() FROM room
        ON CONFLICT (id) DO UPDATE SET
          through = CASE WHEN excluded.through > s.through THEN excluded.through END,
          first_seq = excluded.first_seq, last_seq = excluded.last_seq, seen_at = excluded.seen_at
      ), added AS (
        INSERT INTO ${schema}.entry (seq, lane, state, "user", source, chars, event_wall, taken_wall, body)
        SELECT room.before + new.n, new.lane, 0, new."user", new.source, new.chars, new.event_wall, new.taken_wall, new.body
        FROM room, unnest($7::smallint[], $8::bigint[], $9::integer[], $10::integer[], $11::float8[], $12::float8[],
          $13::text[]) WITH ORDINALITY AS new (lane, "user", source, chars, event_wall, taken_wall, body, n)
      ), sync_state AS (
        UPDATE ${schema}.synced AS s SET state = new.state
        FROM room, unnest($14::text[], $15::text[]) AS new (segment, state) WHERE s.segment = new.segment
      )
      SELECT room.before::float8 AS before, total.waiting::float8 AS waiting,
        $16::bigint IS NOT NULL AND NOT EXISTS (SELECT FROM fence) AS is_fenced,
        CASE WHEN room.before IS NOT NULL THEN ${notify(`'rows'`)} END AS told
      FROM ${schema}.total LEFT JOIN room ON true WHERE total.id = 1`,
    producerOf: `
      SELECT through::float8 AS through, first_seq::float8 AS first, last_seq::float8 AS last
      FROM ${schema}.producer WHERE id = $1`,
    /** Inserts the new ones; returns all. */
    addSources: `
      INSERT INTO ${schema}.source AS s (node, account, instance)
      SELECT DISTINCT node, account, instance FROM unnest($1::text[], $2::text[], $3::text[]) AS new (node, account, instance)
      ON CONFLICT (instance, node, account) DO UPDATE SET node = excluded.node
      RETURNING id, node, account, instance`,
    sourcesOf: `SELECT id, node, account, instance FROM ${schema}.source WHERE id = ANY($1::integer[])`,
  };
}

function leaseSql(schema: string, notify: Notify) {
  const isRenewed = 'holder = $1 AND fencing_token = $4::bigint';
  // For the backend of another role only the pid is visible; backend_start is null.
  const isCutOff = `holder_pid IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_stat_activity WHERE pid = holder_pid AND coalesce(${backendStart} = holder_started, true)
  )`;
  return {
    /**
     * Parameters: 1 id, 2 name, 3 whether it wants the lease, 4 its fencing token, 5 duration in ms, 6 the pid that its
     * connection reported; behind a pooler no backend has it. The lease also ends with the connection of its holder.
     */
    claim: `
      WITH noted AS (
        INSERT INTO ${schema}.instance AS i (id, name, seen_at) SELECT $1, $2, clock_timestamp()
        WHERE NOT EXISTS (
          SELECT FROM ${schema}.instance
          WHERE id = $1 AND name = $2 AND seen_at > clock_timestamp() - interval '${noteMs} ms'
        )
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at
      ), taken AS (
        UPDATE ${schema}.lease
        SET fencing_token = CASE WHEN ${isRenewed} THEN fencing_token ELSE fencing_token + 1 END,
          bases = CASE WHEN ${isRenewed} THEN bases ELSE ARRAY(
            SELECT base FROM unnest(bases || commits) WITH ORDINALITY AS kept (base, n)
            WHERE n > cardinality(bases) + 1 - ${basesKept} ORDER BY n
          ) END,
          holder = $1, holder_name = $2, holder_pid = CASE WHEN $6::integer = pg_backend_pid() THEN $6 END,
          holder_started = ${ownStart}, expires_at = clock_timestamp() + $5::float8 * interval '1 ms'
        WHERE id = 1 AND $3::boolean AND (holder IS NULL OR holder = $1 OR expires_at <= clock_timestamp() OR ${isCutOff})
        RETURNING fencing_token
      ), buried AS (
        DELETE FROM ${schema}.instance WHERE id <> $1 AND NOT ${alive} AND EXISTS (SELECT FROM taken)
      ), forgotten AS (
        DELETE FROM ${schema}.deletion WHERE NOT ${mayBeUnread} AND EXISTS (SELECT FROM taken)
      )
      SELECT ${epochMs} AS now, taken.fencing_token::float8 AS taken, lease.fencing_token::float8 AS fencing_token,
        CASE WHEN expires_at > clock_timestamp() THEN holder END AS holder, holder_name,
        extract(epoch FROM expires_at - clock_timestamp())::float8 * 1000 AS left,
        last_seq::float8 AS last_seq, waiting::float8 AS waiting,
        (SELECT coalesce(json_agg(json_build_object('id', id, 'name', name) ORDER BY name, id), '[]')
          FROM ${schema}.instance WHERE id <> $1 AND ${alive}) AS others,
        paused, flushes::float8 AS flushes, deletions::float8 AS deletions,
        EXISTS (SELECT FROM ${schema}.outcome WHERE instance = $1)
          OR (taken.fencing_token IS NOT NULL AND EXISTS (SELECT FROM ${schema}.outcome WHERE ${isGone(schema)})) AS has_outcomes,
        CASE WHEN taken.fencing_token <> coalesce($4::bigint, 0) THEN ${notify(`'lease'`)} END AS told
      FROM ${schema}.total, ${schema}.control, ${schema}.lease LEFT JOIN taken ON true
      WHERE total.id = 1 AND control.id = 1 AND lease.id = 1`,
    release: `
      WITH released AS (
        UPDATE ${schema}.lease SET holder = NULL, holder_name = NULL, expires_at = to_timestamp(0)
        WHERE id = 1 AND holder = $1 AND fencing_token = $2::bigint RETURNING 1 AS done
      )
      SELECT ${notify(`'lease'`)} AS told FROM released`,
    /**
     * Parameters: 1 posts, 2 a fencing token. `reached`: for a token that is over, the number of commits when the
     * next one began; null when that is no longer known.
     */
    lease: `
      SELECT fencing_token::float8 AS fencing_token, holder,
        CASE WHEN fencing_token = $2::bigint THEN commits ELSE bases[cardinality(bases) - (fencing_token - $2::bigint - 1)] END::float8
          AS reached,
        EXISTS (SELECT FROM ${schema}.flight WHERE post = ANY($1::bigint[])) AS departed
      FROM ${schema}.lease WHERE id = 1`,
    now: `SELECT ${epochMs} AS now`,
    /** The active instance finds its outcomes at the next claim. */
    bye: `DELETE FROM ${schema}.instance WHERE id = $1`,
  };
}

function storeSql(schema: string, notify: Notify) {
  const held = 'WHERE id = 1 AND holder = $1 AND fencing_token = $2::bigint';
  return {
    /** From here on, late commits of a broken connection have no effect. */
    takeOver: `
      WITH held AS (
        UPDATE ${schema}.lease SET commits = commits + 1 ${held} RETURNING commits
      ), renumbered AS (
        UPDATE ${schema}.flight
        SET post = least(0, (SELECT min(post) FROM ${schema}.flight)) - fresh.n
        FROM (SELECT post, row_number() OVER (ORDER BY post) AS n FROM ${schema}.flight WHERE post > 0) AS fresh
        WHERE flight.post = fresh.post AND EXISTS (SELECT FROM held)
      )
      SELECT commits::float8 AS commits FROM held`,
    opened: `
      SELECT ${epochMs} AS now, last_seq::float8 AS last_seq, waiting::float8 AS waiting, chars::float8 AS chars
      FROM ${schema}.total WHERE id = 1`,
    inFlightRecords: `
      SELECT post::float8 AS post, array_to_json(users) AS users, until_wall FROM ${schema}.flight ORDER BY post DESC`,
    setMetaHeld: `
      WITH held AS (SELECT fencing_token FROM ${schema}.lease ${held} FOR SHARE), kept AS (
        INSERT INTO ${schema}.meta (key, value) SELECT $3, $4 FROM held
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
      )
      SELECT fencing_token FROM held`,
    commit: (commit: CommitParts): Statement => commitSql(schema, notify, commit),
  };
}

function outcomeSql(schema: string) {
  const isHolder = `EXISTS (SELECT FROM ${schema}.lease WHERE id = 1 AND holder = $1)`;
  return {
    /** Parameters: 1 instance, 2 ids of the reported outcomes, 3 limit of others to read. */
    outcomes: `
      WITH reported AS (DELETE FROM ${schema}.outcome WHERE id = ANY($2::bigint[]))
      SELECT id::float8 AS id, text FROM ${schema}.outcome
      WHERE id <> ALL($2::bigint[]) AND (instance = $1 OR (${isHolder} AND ${isGone(schema)}))
      ORDER BY outcome.id LIMIT $3`,
  };
}

function controlSql(schema: string, notify: Notify) {
  const held = `SELECT FROM ${schema}.lease WHERE id = 1 AND holder = $1 AND fencing_token = $2::bigint FOR SHARE`;
  return {
    setPaused: `
      UPDATE ${schema}.control SET paused = $1 WHERE id = 1 RETURNING ${notify(`'control'`)} AS told`,
    flush: `
      UPDATE ${schema}.control SET flushes = flushes + 1 WHERE id = 1 RETURNING ${notify(`'control'`)} AS told`,
    /** Parameters: 1 through seq, 2 time of the request, 3 keys and 4 id of the user, null for a purge. */
    requestDeletion: `
      WITH counted AS (
        UPDATE ${schema}.control SET deletions = deletions + 1 WHERE id = 1 RETURNING deletions
      )
      INSERT INTO ${schema}.deletion (id, through_seq, asked_wall, user_keys, user_id)
      SELECT deletions, $1::bigint, $2::float8, $3::text[], $4 FROM counted
      RETURNING id::float8 AS id, ${notify(`'control'`)} AS told`,
    deletions: `
      SELECT id::float8 AS id, through_seq::float8 AS through_seq, asked_wall, user_keys, user_id,
        done_at IS NOT NULL AS done, entries::float8 AS entries, in_flight::float8 AS in_flight,
        segments::float8 AS segments
      FROM ${schema}.deletion ORDER BY deletion.id`,
    /** Parameters: 1 holder, 2 fencing token, 3 id, 4 entries, 5 in flight, 6 segments. */
    finishDeletion: `
      WITH held AS (${held}), finished AS (
        UPDATE ${schema}.deletion SET done_at = clock_timestamp(), entries = $4::bigint, in_flight = $5::bigint,
          segments = $6::bigint
        WHERE id = $3::bigint AND done_at IS NULL AND EXISTS (SELECT FROM held) RETURNING 1 AS one
      )
      UPDATE ${schema}.control SET deletions = deletions + 1 WHERE id = 1 AND EXISTS (SELECT FROM finished)
      RETURNING ${notify(`'control'`)} AS told`,
  };
}

/** A commit in parts of which no two hold the same number, so that their order does not matter. */
export interface CommitParts {
  readonly holder: string;
  readonly fencingToken: number;
  /** The lease's commit count before it. */
  readonly commits: number;
  readonly remove: readonly number[];
  /** Rows that stay, to be sent again. */
  readonly repeat: readonly number[];
  /** Requests that must not have a record yet. */
  readonly mustBeNew: readonly number[];
  readonly begin: readonly {
    readonly post: number;
    readonly users: string;
    readonly untilMs: number | null;
  }[];
  readonly unknown: readonly (readonly [post: number, untilMs: number])[];
  readonly settle: readonly number[];
  readonly outcomes: readonly (readonly [instance: string, text: string])[];
  readonly members: readonly MemberChange[];
  readonly syncStates: readonly SyncState[];
}

type Value = string | number | null | readonly (string | number)[];
interface Statement {
  readonly text: string;
  readonly values: Value[];
}

/**
 * Contains only the parts that the commit has. Locks the lease's row first, which decides whether the commit is
 * carried out.
 */
function commitSql(schema: string, notify: Notify, commit: CommitParts): Statement {
  const values: Value[] = [];
  const at = (value: Value, type: string): string => `$${values.push(value)}::${type}`;
  const isHeld = 'EXISTS (SELECT FROM held)';
  const holds = `holder = ${at(commit.holder, 'text')} AND fencing_token = ${at(commit.fencingToken, 'bigint')}`;
  const isNext = `commits = ${at(commit.commits, 'bigint')}`;
  const noneInFlight =
    commit.mustBeNew.length === 0
      ? ''
      : `AND NOT EXISTS (SELECT FROM ${schema}.flight WHERE post = ANY(${at(commit.mustBeNew, 'bigint[]')}))`;
  const parts = [
    `held AS (UPDATE ${schema}.lease SET commits = commits + 1 WHERE id = 1 AND ${holds} AND ${isNext} ${noneInFlight} RETURNING 1 AS one)`,
  ];
  const ended: string[] = [];
  let chars = '';
  if (commit.remove.length > 0) {
    const seqs = at(commit.remove, 'bigint[]');
    parts.push(
      `removed AS (DELETE FROM ${schema}.entry WHERE seq = ANY(${seqs}) AND ${isHeld} RETURNING state, chars)`,
    );
    ended.push('SELECT count(*) FROM removed WHERE state = 0');
    chars = ', chars = chars - (SELECT coalesce(sum(chars), 0) FROM removed)';
  }
  if (commit.repeat.length > 0) {
    parts.push(
      `repeated AS (
        UPDATE ${schema}.entry SET state = 1
        WHERE seq = ANY(${at(commit.repeat, 'bigint[]')}) AND state = 0 AND ${isHeld} RETURNING seq
      )`,
    );
    ended.push('SELECT count(*) FROM repeated');
  }
  if (commit.begin.length > 0) {
    const [posts, users] = [commit.begin.map(({ post }) => post), commit.begin.map((mark) => mark.users)];
    // -1 instead of null, which these number arrays cannot hold; times are never below 0.
    const untils = commit.begin.map(({ untilMs }) => untilMs ?? -1);
    parts.push(
      `begun AS (
        INSERT INTO ${schema}.flight (post, users, until_wall)
        SELECT post, users::bigint[], nullif(until_wall, -1)
        FROM unnest(${at(posts, 'bigint[]')}, ${at(users, 'text[]')}, ${at(untils, 'float8[]')})
          AS new (post, users, until_wall) WHERE ${isHeld}
      )`,
    );
  }
  if (commit.unknown.length > 0) {
    const posts = commit.unknown.map(([post]) => post);
    const untils = commit.unknown.map(([, until]) => until);
    parts.push(
      `made_unknown AS (
        UPDATE ${schema}.flight SET until_wall = new.until_wall
        FROM unnest(${at(posts, 'bigint[]')}, ${at(untils, 'float8[]')}) AS new (post, until_wall)
        WHERE flight.post = new.post AND ${isHeld}
      )`,
    );
  }
  if (commit.settle.length > 0) {
    parts.push(
      `settled AS (DELETE FROM ${schema}.flight WHERE post = ANY(${at(commit.settle, 'bigint[]')}) AND ${isHeld})`,
    );
  }
  if (ended.length > 0) {
    const waiting = ended.map((sum) => `(${sum})`).join(' - ');
    parts.push(
      `summed AS (UPDATE ${schema}.total SET waiting = waiting - ${waiting}${chars} WHERE id = 1 AND ${isHeld})`,
    );
  }
  if (commit.members.length > 0) parts.push(...memberParts(schema, commit.members, at, isHeld));
  if (commit.syncStates.length > 0) parts.push(statesPart(schema, commit.syncStates, at, isHeld));
  let told = '';
  if (commit.outcomes.length > 0) {
    const instances = at(
      commit.outcomes.map(([instance]) => instance),
      'text[]',
    );
    const texts = at(
      commit.outcomes.map(([, text]) => text),
      'text[]',
    );
    parts.push(
      `stored AS (
        INSERT INTO ${schema}.outcome (instance, text)
        SELECT new.instance, new.text FROM unnest(${instances}, ${texts}) AS new (instance, text) WHERE ${isHeld}
      )`,
    );
    told = `, (SELECT count(${notify(`'outcomes ' || instance`)}) FROM held, unnest(${instances}) AS of_whom (instance)) AS told`;
  }
  return { text: `WITH ${parts.join(',\n')}\nSELECT ${isHeld} AS done${told}`, values };
}
