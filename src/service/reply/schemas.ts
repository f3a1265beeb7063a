// Schemas of the replies to reads (service.md 4 and 5). Fields that are not listed are valid and ignored.
import * as z from 'zod';
import { unwrap } from './response-classifier';

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

const unwrapped = <T extends z.ZodType>(schema: T) => z.preprocess((json) => unwrap(json) ?? json, schema);

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

export type SegmentPage = z.infer<typeof segmentPageSchema>;

/** One hour of usage, or the sum of a range (service.md 4), with the service's own field names. */
const usageRecordSchema = z.looseObject({
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

export type UsageRecord = z.infer<typeof usageRecordSchema>;

/** `report` is an array of hours, or one object with `agg=true`; without it the report is empty. */
export const usageReplySchema = unwrapped(
  z.looseObject({
    status: z.literal('OK'),
    report: z.union([z.array(usageRecordSchema), usageRecordSchema]).nullish(),
  }),
);
