// Parses usage statistics: the query string, the hours, and their log lines (service.md 4).
import { usageReplySchema, type UsageRecord } from './reply/schemas';

export interface UsageQuery {
  readonly memberId?: number;
  /** Epoch ms; without a range the service reports the last two weeks. */
  readonly startMs?: number;
  readonly endMs?: number;
  /** One sum over the range instead of hours. */
  readonly aggregate?: boolean;
}

/** `(id, code, owner)` of the log lines; an unknown segment has id 0. */
export interface LoggedSegment {
  readonly id: number;
  readonly code: string;
  readonly memberId: number;
}

/** `(user, segment, expiration)` of the log lines. User ids stay text: they exceed the safe integers. */
export interface LoggedAssociation {
  readonly userId: string;
  readonly segmentId: number;
  readonly expirationMinutes: number;
}

/** The log lines are samples of at most 200 lines, not complete lists. */
export interface UsageLog {
  readonly validUsers: readonly string[];
  readonly inactiveUsers: readonly string[];
  readonly validSegments: readonly LoggedSegment[];
  readonly inactiveSegments: readonly LoggedSegment[];
  readonly invalidSegments: readonly LoggedSegment[];
  readonly unauthorizedSegments: readonly LoggedSegment[];
  readonly additions: readonly LoggedAssociation[];
  readonly removals: readonly LoggedAssociation[];
  /** Lines of an unknown kind. */
  readonly other: readonly string[];
}

export interface UsageHour {
  /** UTC, in the service's own form: `2015-11-08 01:00:00`. */
  readonly processedHour: string | null;
  readonly processedHourMs: number | null;
  readonly memberId: number | null;
  /** Per cent; null when nothing was counted. */
  readonly matchRate: number | null;
  readonly validUsers: number;
  readonly validAdds: number;
  readonly validRemoves: number;
  readonly invalidUsers: number;
  readonly unauthorizedSegments: number;
  readonly inactiveSegments: number;
  readonly invalidSegments: number;
  readonly otherErrors: number;
  /** Null without log lines, as in a sum. */
  readonly log: UsageLog | null;
  /** The record as received. */
  readonly raw: Readonly<Record<string, unknown>>;
}

export interface UsageReport {
  readonly aggregated: boolean;
  readonly hours: readonly UsageHour[];
}

/** The query string with its `?`, or ''. Times have the documented form `2015-11-01+01:00:00` (service.md 4). */
export function usageQueryString({ memberId, startMs, endMs, aggregate }: UsageQuery): string {
  const parts = [
    memberId === undefined ? '' : `member_id=${memberId}`,
    startMs === undefined ? '' : `start=${queryTime(startMs)}`,
    endMs === undefined ? '' : `end=${queryTime(endMs)}`,
    aggregate === true ? 'agg=true' : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function queryTime(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace('T', '+');
}

/** Null for a reply that is not a usage report. */
export function parseUsage(json: unknown): UsageReport | null {
  const read = usageReplySchema.safeParse(json);
  if (!read.success) return null;
  const report = read.data.report ?? [];
  const aggregated = !Array.isArray(report);
  return { aggregated, hours: [report].flat().map(readHour) };
}

function readHour(record: UsageRecord): UsageHour {
  const lines = [record.error_log_lines, record.segment_log_lines].filter((one) => one !== null);
  return {
    processedHour: record.processed_hour,
    processedHourMs: epochMsOf(record.processed_hour),
    memberId: record.member_id,
    matchRate: record.match_rate,
    validUsers: record.num_valid_users,
    validAdds: record.num_valid_adds,
    validRemoves: record.num_valid_removes,
    invalidUsers: record.num_invalid_users,
    unauthorizedSegments: record.num_unauth_segments,
    inactiveSegments: record.num_inactive_segments,
    invalidSegments: record.num_invalid_segments,
    otherErrors: record.num_other_errors,
    log: lines.length === 0 ? null : readLog(lines.join('\n')),
    raw: record,
  };
}

/** Reads the documented form, ISO 8601, the form of queries, or epoch seconds or ms; UTC without a zone. */
function epochMsOf(hour: string | null): number | null {
  const text = hour?.trim() ?? '';
  if (/^\d{10}(\d{3})?$/.test(text)) return Number(text.padEnd(13, '0'));
  const parts = dated.exec(text);
  if (parts === null) return null;
  const [, day, clock = '', zone] = parts;
  const time = clock.includes(':') ? clock : `${clock}:00`;
  const ms = Date.parse(`${day}T${time}${zone === undefined || /^utc$/i.test(zone) ? 'Z' : zone}`);
  return Number.isFinite(ms) ? ms : null;
}

const dated = /^(\d{4}-\d\d-\d\d)[ T+](\d\d(?::\d\d(?::\d\d(?:\.\d{1,9})?)?)?) ?(Z|UTC|[+-]\d\d:\d\d)?$/i;

/** By the heading of a log line: its list, and the reader for the rest of the line. */
const headings = new Map<string, readonly [list: keyof UsageLog, read: (rest: string) => unknown[]]>([
  ['valid users', ['validUsers', readUsers]],
  ['inactive users', ['inactiveUsers', readUsers]],
  ['valid segments', ['validSegments', readSegments]],
  ['inactive segments', ['inactiveSegments', readSegments]],
  ['invalid segments', ['invalidSegments', readSegments]],
  ['unauthorized segments', ['unauthorizedSegments', readSegments]],
  ['valid additions', ['additions', readAssociations]],
  ['valid removals', ['removals', readAssociations]],
]);

function readLog(text: string): UsageLog {
  const log = Object.fromEntries([['other', []], ...[...headings.values()].map(([list]) => [list, []])]) as {
    [list in keyof UsageLog]: unknown[];
  };
  for (const line of text.split(/\r?\n/).filter((one) => one.trim() !== '')) {
    const { name, rest } = headed(line);
    const [list, read] = headings.get(name) ?? ['other', () => [line]];
    for (const one of read(rest)) log[list].push(one);
  }
  return log as unknown as UsageLog;
}

/**
 * Splits `Valid additions (user id, segment id, expiration): …` into the name in lower case and the text after the
 * colon.
 */
function headed(line: string): { readonly name: string; readonly rest: string } {
  const colon = line.indexOf(':');
  const [name = ''] = line.slice(0, Math.max(0, colon)).split('(', 1);
  return { name: name.trim().toLowerCase(), rest: line.slice(colon + 1) };
}

function readUsers(rest: string): string[] {
  return rest
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
}

function readSegments(rest: string): LoggedSegment[] {
  return tuplesIn(rest).flatMap(([id = '', code = '', memberId = '']) => {
    if (!whole.test(id) || !whole.test(memberId)) return [];
    return [{ id: Number(id), code: code === 'None' ? '' : code, memberId: Number(memberId) }];
  });
}

/** The service does not escape user ids in these lines, so an id with a comma or a bracket is skipped. */
function readAssociations(rest: string): LoggedAssociation[] {
  const closed = rest.split(')').slice(0, -1);
  return closed.flatMap((text) => {
    const parts = text.slice(text.lastIndexOf('(') + 1).split(',');
    const [user = '', segment = '', expiration = ''] = parts.map((part) => part.trim());
    const userId = user.replaceAll("'", '');
    if (userId === '' || !whole.test(segment) || !whole.test(expiration) || parts.length > 3) return [];
    return [{ userId, segmentId: Number(segment), expirationMinutes: Number(expiration) }];
  });
}

const whole = /^-?\d+$/;

/**
 * The parts of each tuple, such as `(1, 'it\'s', 2)`, with Python's quoting. Reads character by character, since a
 * regular expression for quotes, blanks and brackets takes more than linear time or memory for some texts.
 */
function tuplesIn(text: string): string[][] {
  const tuples: string[][] = [];
  let parts: string[] = [];
  let part = '';
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const mark = text.charAt(at);
    if (quote !== '') {
      if (mark === quote) quote = '';
      else if (mark === '\\') part += text.charAt((at += 1));
      else part += mark;
    } else if (mark === '(') [parts, part] = [[], ''];
    else if (mark === ',' || mark === ')') {
      parts.push(part);
      part = '';
      if (mark === ')') tuples.push(parts.splice(0));
    } else if (mark === "'" || mark === '"') [quote, part] = [mark, ''];
    else if (mark.trim() !== '') part += mark;
  }
  return tuples;
}
