// Usage statistics of the sandbox by hour, and the reply of `GET /rt-segment-processed` (service.md 4).
//
// The service processes a post minutes to 24 hours after accepting it (service.md 4). The post counts from then on, in
// the hour of its processing.
import { serviceTime } from './catalogue';
import { errorReply, jsonReply, type Reply } from './wire';

const hourMs = 3_600_000;
const twoWeeksMs = 14 * 24 * hourMs;
/** Maximum number of samples in a log line. */
const maxSamples = 200;
/** Posts that await processing are summed up in 60 slices of the delay, which bounds memory. */
const slices = 60;

/** The counts, by their names in the reply. */
const countFields = {
  validUsers: 'num_valid_users',
  validAdds: 'num_valid_adds',
  validRemoves: 'num_valid_removes',
  invalidUsers: 'num_invalid_users',
  unauthorizedSegments: 'num_unauth_segments',
  inactiveSegments: 'num_inactive_segments',
  invalidSegments: 'num_invalid_segments',
  otherErrors: 'num_other_errors',
} as const;
const countNames = Object.keys(countFields) as (keyof typeof countFields)[];

const segmentForm = '(id, code, segment owner member id)';
const changeForm = '(user id, segment id, expiration)';
/** The two log fields of the reply: the samples of each, by their headings. */
const logFields = {
  error_log_lines: {
    inactiveUsers: 'Inactive users',
    inactiveSegments: `Inactive segments ${segmentForm}`,
    invalidSegments: `Invalid segments ${segmentForm}`,
    unauthorizedSegments: `Unauthorized segments ${segmentForm}`,
  },
  segment_log_lines: {
    validUsers: 'Valid users',
    validSegments: `Valid segments ${segmentForm}`,
    additions: `Valid additions ${changeForm}`,
    removals: `Valid removals ${changeForm}`,
  },
} as const;
type SampleName = {
  [Field in keyof typeof logFields]: keyof (typeof logFields)[Field];
}[keyof typeof logFields];
const sampleNames = Object.values(logFields).flatMap((field) => Object.keys(field) as SampleName[]);

function recordOf<Name extends string, T>(names: readonly Name[], make: () => T): Record<Name, T> {
  return Object.fromEntries(names.map((name) => [name, make()])) as Record<Name, T>;
}

/** Counts and samples of one hour, which the handler of posts increments. */
export class UsageHour {
  readonly counts = recordOf(countNames, () => 0);
  readonly samples = recordOf(sampleNames, () => new Set<string>());

  constructor(readonly startWallMs: number) {}

  add(hour: UsageHour): void {
    for (const name of countNames) this.counts[name] += hour.counts[name];
    for (const name of sampleNames)
      for (const text of hour.samples[name]) sample(this.samples[name], () => text);
  }
}

interface Pending {
  readonly dueWallMs: number;
  readonly counts: UsageHour;
}

/**
 * Adds a text to the samples, with line breaks in ids replaced by blanks. `form` is called only below the maximum, so
 * that full samples cost nothing.
 */
export function sample(samples: Set<string>, form: () => string): void {
  if (samples.size < maxSamples) samples.add(form().replace(/[\r\n]+/g, ' '));
}

export class Usage {
  readonly #hours: UsageHour[] = [];
  #pending: Pending[] = [];

  constructor(
    /** Delay from a post to its processing. A change affects only later posts. */
    public delayMs = 0,
  ) {}

  /** The counts to which a post accepted now belongs. */
  tally(nowWallMs: number): UsageHour {
    this.#process(nowWallMs);
    if (this.delayMs === 0) return this.#hour(nowWallMs);
    const sliceMs = Math.max(1, Math.ceil(this.delayMs / slices));
    const dueWallMs = Math.ceil((nowWallMs + this.delayMs) / sliceMs) * sliceMs;
    const known = this.#pending.find((one) => one.dueWallMs === dueWallMs);
    if (known) return known.counts;
    const counts = new UsageHour(dueWallMs);
    this.#pending.push({ dueWallMs, counts });
    return counts;
  }

  /** Adds counts that are due to the hour in which they were due. */
  #process(nowWallMs: number): void {
    const due = this.#pending.filter(({ dueWallMs }) => dueWallMs <= nowWallMs);
    if (due.length === 0) return;
    this.#pending = this.#pending.filter(({ dueWallMs }) => dueWallMs > nowWallMs);
    for (const { dueWallMs, counts } of due) this.#hour(dueWallMs).add(counts);
  }

  /** The hour of a time; drops hours older than two weeks. */
  #hour(nowWallMs: number): UsageHour {
    const startWallMs = Math.floor(nowWallMs / hourMs) * hourMs;
    const last = this.#hours.at(-1);
    if (last?.startWallMs === startWallMs) return last;
    const known = this.#hours.find((hour) => hour.startWallMs === startWallMs);
    if (known) return known;
    const fresh = new UsageHour(startWallMs);
    this.#hours.push(fresh);
    this.#hours.sort((a, b) => a.startWallMs - b.startWallMs);
    while (this.#hours[0]!.startWallMs < nowWallMs - twoWeeksMs - hourMs) this.#hours.shift();
    return fresh;
  }

  clear(): void {
    this.#hours.length = 0;
    this.#pending = [];
  }

  /** Supports `member_id`, `start`, `end` and `agg`. The sandbox has one member and accepts any `member_id`. */
  report(query: URLSearchParams, ownMember: number, nowWallMs: number): Reply {
    const memberText = query.get('member_id') ?? String(ownMember);
    if (!/^\d+$/.test(memberText)) return errorReply(400, 'SYNTAX', 'member_id must be a number');
    const start = readTime(query.get('start'), nowWallMs - twoWeeksMs);
    const end = readTime(query.get('end'), nowWallMs);
    if (start === null || end === null) {
      return errorReply(400, 'SYNTAX', 'start and end must look like 2015-11-01+01:00:00');
    }
    this.#process(nowWallMs);
    const firstHour = Math.floor(start / hourMs) * hourMs;
    const hours = this.#hours.filter((hour) => hour.startWallMs >= firstHour && hour.startWallMs <= end);
    const member = Number(memberText);
    const report =
      query.get('agg') === 'true'
        ? { ...record(sum(hours, end), member), error_log_lines: null, segment_log_lines: null }
        : hours.map((hour) => ({ ...record(hour, member), ...logLines(hour) }));
    return jsonReply({ response: { status: 'OK', report } });
  }
}

function record({ startWallMs, counts }: UsageHour, member: number): Record<string, unknown> {
  const users = counts.validUsers + counts.invalidUsers;
  return {
    processed_hour: serviceTime(startWallMs),
    member_id: member,
    match_rate: users === 0 ? 0 : Math.round((counts.validUsers / users) * 1000) / 10,
    ...Object.fromEntries(countNames.map((name) => [countFields[name], counts[name]])),
  };
}

/** The sum of hours, with the date of the last one, as in the documented sample. */
function sum(hours: readonly UsageHour[], endWallMs: number): UsageHour {
  const total = new UsageHour(hours.at(-1)?.startWallMs ?? Math.floor(endWallMs / hourMs) * hourMs);
  for (const hour of hours) total.add(hour);
  return total;
}

function logLines({ samples }: UsageHour): Record<string, string> {
  const linesOf = (headings: Readonly<Partial<Record<SampleName, string>>>): string =>
    (Object.entries(headings) as [SampleName, string][])
      .filter(([name]) => samples[name].size > 0)
      .map(([name, heading]) => `${heading}: ${[...samples[name]].join(', ')}`)
      .join('\n');
  return Object.fromEntries(Object.entries(logFields).map(([field, headings]) => [field, linesOf(headings)]));
}

/** Epoch ms of `2015-11-01+01:00:00` (a `+` in a query is a space); null for any other form. */
function readTime(text: string | null, otherwise: number): number | null {
  if (text === null) return otherwise;
  const parts = /^(\d{4}-\d\d-\d\d)[ +](\d\d:\d\d:\d\d)$/.exec(text);
  const time = parts ? Date.parse(`${parts[1]}T${parts[2]}Z`) : NaN;
  return Number.isNaN(time) ? null : time;
}
