// Schemas of the service's replies (service.md 2 to 5). Fields that are not listed are valid and ignored.
import * as z from 'zod';
import type { Warning } from './outcome';

export type Envelope = Readonly<Record<string, unknown>>;

/** A JSON object, or null for anything else. */
export function asObject(value: unknown): Envelope | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Envelope) : null;
}

/** A reply without its `response` envelope, if it has one; null when the body is not a JSON object. */
export function unwrap(json: unknown): Envelope | null {
  const outer = asObject(json);
  return outer === null ? null : (asObject(outer.response) ?? outer);
}

/** The service's own replies are six levels deep. Functions that read or copy a value recurse once per level. */
const MAX_LEVELS = 100;

/** Parses the body of a reply; undefined when it is not JSON, or has more than 100 levels. */
export function parseJson(body: string): unknown {
  if (isTooDeep(body)) return undefined;
  try {
    return JSON.parse(body.charCodeAt(0) === 0xfeff ? body.slice(1) : body);
  } catch {
    return undefined;
  }
}

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [34, 92, 91, 93, 123, 125];

/** Counts levels in the text, since `JSON.parse` itself recurses. */
function isTooDeep(body: string): boolean {
  if (body.length <= MAX_LEVELS) return false;
  let levels = 0;
  let inText = false;
  for (let at = 0; at < body.length; at++) {
    const mark = body.charCodeAt(at);
    if (inText) {
      if (mark === BACKSLASH) at += 1;
      else if (mark === QUOTE) inText = false;
    } else if (mark === QUOTE) inText = true;
    else if (mark === OPEN_LIST || mark === OPEN_OBJECT) {
      levels += 1;
      if (levels > MAX_LEVELS) return true;
    } else if (mark === CLOSE_LIST || mark === CLOSE_OBJECT) levels -= 1;
  }
  return false;
}

/** A number, or its digits as text. */
const integer = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+$/)
    .transform(Number),
]);
const count = integer.nullish().transform((value) => value ?? 0);
const text = z
  .union([z.string(), z.number()])
  .nullish()
  .transform((value) => (value === null || value === undefined ? null : String(value)));

/** One warning. A bare string, or an object without a message, is a warning too, so that none is lost. */
const warningSchema: z.ZodType<Warning> = z.unknown().transform((value): Warning => {
  if (typeof value === 'string') return { message: value, entity: undefined };
  const warning = asObject(value);
  if (typeof warning?.message === 'string') return { message: warning.message, entity: warning.entity };
  return { message: `A warning without a message: ${JSON.stringify(value).slice(0, 200)}`, entity: value };
});

/** A list of warnings; empty when missing or null. */
const warningsSchema = z
  .array(warningSchema)
  .nullish()
  .transform((list): readonly Warning[] => list ?? []);

const unwrapped = <T extends z.ZodType>(schema: T) => z.preprocess((json) => unwrap(json) ?? json, schema);

/** An accepted post in any of its three shapes (service.md 3.3). */
export const postReplySchema = unwrapped(
  z.looseObject({ status: z.literal('OK'), error_id: z.null().optional(), warnings: warningsSchema }),
);

/** A successful authentication. A token with blanks or control characters cannot stand in a header. */
export const authReplySchema = unwrapped(
  z.looseObject({ status: z.literal('OK'), token: z.string().regex(/^[\x21-\x7e]+$/) }),
);

/** One segment of the list (service.md 5). */
export interface Segment {
  readonly id: number;
  readonly code: string | null;
  readonly shortName: string | null;
  readonly state: string | null;
  readonly memberId: number | null;
  readonly expireMinutes: number | null;
  /** UTC, in the service's own form: `2015-11-08 01:00:00`. */
  readonly lastModified: string | null;
}

const nullableInteger = integer.nullish().transform((value) => value ?? null);

const segmentSchema = z
  .looseObject({
    id: integer,
    code: text,
    short_name: text,
    state: text,
    member_id: nullableInteger.catch(null),
    expire_minutes: nullableInteger.catch(null),
    last_modified: text,
  })
  .transform((raw): Segment => ({
    id: raw.id,
    code: raw.code,
    shortName: raw.short_name,
    state: raw.state,
    memberId: raw.member_id,
    expireMinutes: raw.expire_minutes,
    lastModified: raw.last_modified,
  }));

/**
 * One page of segments: the list under `segments`, or a single hit under `segment`. An element without an id is left
 * out of `segments` but counted in `received`, by which the next page starts.
 */
export const segmentPageSchema = unwrapped(
  z
    .looseObject({
      status: z.literal('OK'),
      count: integer.nullish().catch(null),
      segments: z.array(z.unknown()).nullish(),
      segment: z.unknown().optional(),
    })
    .transform((raw) => {
      const list = raw.segments ?? [raw.segment].flat().filter((one) => one !== null && one !== undefined);
      const segments = list.flatMap((one) => {
        const read = segmentSchema.safeParse(one);
        return read.success ? [read.data] : [];
      });
      return { count: raw.count ?? null, received: list.length, segments };
    }),
);

/** One hour of usage, or the sum of a range (service.md 4), with the service's own field names. */
export const usageRecordSchema = z.looseObject({
  processed_hour: text,
  member_id: nullableInteger,
  match_rate: z
    .union([z.number(), z.string().transform(Number)])
    .nullish()
    .transform((value) => value ?? null),
  num_valid_users: count,
  num_valid_adds: count,
  num_valid_removes: count,
  num_invalid_users: count,
  num_unauth_segments: count,
  num_inactive_segments: count,
  num_invalid_segments: count,
  num_other_errors: count,
  error_log_lines: text,
  segment_log_lines: text,
});

/** `report` is an array of hours, or one object with `agg=true`; without it the report is empty. */
export const usageReplySchema = unwrapped(
  z.looseObject({
    status: z.literal('OK'),
    report: z.union([z.array(usageRecordSchema), usageRecordSchema]).nullish(),
  }),
);
