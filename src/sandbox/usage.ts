// Usage statistics of the sandbox by hour, and the reply of `GET /rt-segment-processed` (service.md 4).
//
// The service processes a post minutes to 24 hours after accepting it (service.md 4). The post counts from then on, in
// the hour of its processing.
import { serviceTime } from './catalogue';
import { errorReply, jsonReply, type Reply } from './reply';

const hourMs = 3_600_000;
const twoWeeksMs = 14 * 24 * hourMs;
/** Maximum number of samples in a log line. */
const maxSamples = 200;
/** Posts that await processing are summed up in 60 slices of the delay, which bounds memory. */
const slices = 60;

/** Counts and samples of one hour, which the handler of posts increments. */
export class UsageHour {
  validUsers = 0;
  invalidUsers = 0;
  validAdds = 0;
  validRemoves = 0;
  unauthorizedSegments = 0;
  inactiveSegments = 0;
  invalidSegments = 0;
  otherErrors = 0;
  readonly samples = {
    validUsers: new Set<string>(),
    validSegments: new Set<string>(),
    additions: new Set<string>(),
    removals: new Set<string>(),
    inactiveUsers: new Set<string>(),
    inactiveSegments: new Set<string>(),
    invalidSegments: new Set<string>(),
    unauthorizedSegments: new Set<string>(),
  };

  constructor(readonly startWallMs: number) {}
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
    for (const { dueWallMs, counts } of due) addTo(this.#hour(dueWallMs), counts);
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
        ? { ...counts(sum(hours, end), member), error_log_lines: null, segment_log_lines: null }
        : hours.map((hour) => ({ ...counts(hour, member), ...logLines(hour) }));
    return jsonReply({ response: { status: 'OK', report } });
  }
}

function counts(hour: UsageHour, member: number): Record<string, unknown> {
  const users = hour.validUsers + hour.invalidUsers;
  return {
    processed_hour: serviceTime(hour.startWallMs),
    member_id: member,
    match_rate: users === 0 ? 0 : Math.round((hour.validUsers / users) * 1000) / 10,
    num_valid_users: hour.validUsers,
    num_valid_adds: hour.validAdds,
    num_valid_removes: hour.validRemoves,
    num_invalid_users: hour.invalidUsers,
    num_unauth_segments: hour.unauthorizedSegments,
    num_inactive_segments: hour.inactiveSegments,
    num_invalid_segments: hour.invalidSegments,
    num_other_errors: hour.otherErrors,
  };
}

/** The sum of hours, with the date of the last one, as in the documented sample. */
function sum(hours: readonly UsageHour[], endWallMs: number): UsageHour {
  const total = new UsageHour(hours.at(-1)?.startWallMs ?? Math.floor(endWallMs / hourMs) * hourMs);
  for (const hour of hours) addTo(total, hour);
  return total;
}

function addTo(total: UsageHour, hour: UsageHour): void {
  total.validUsers += hour.validUsers;
  total.invalidUsers += hour.invalidUsers;
  total.validAdds += hour.validAdds;
  total.validRemoves += hour.validRemoves;
  total.unauthorizedSegments += hour.unauthorizedSegments;
  total.inactiveSegments += hour.inactiveSegments;
  total.invalidSegments += hour.invalidSegments;
  total.otherErrors += hour.otherErrors;
  for (const kind of Object.keys(hour.samples) as (keyof UsageHour['samples'])[]) {
    for (const text of hour.samples[kind]) sample(total.samples[kind], () => text);
  }
}

function logLines({ samples }: UsageHour): { error_log_lines: string; segment_log_lines: string } {
  const segment = '(id, code, segment owner member id)';
  const change = '(user id, segment id, expiration)';
  return {
    error_log_lines: lines([
      ['Inactive users', samples.inactiveUsers],
      [`Inactive segments ${segment}`, samples.inactiveSegments],
      [`Invalid segments ${segment}`, samples.invalidSegments],
      [`Unauthorized segments ${segment}`, samples.unauthorizedSegments],
    ]),
    segment_log_lines: lines([
      ['Valid users', samples.validUsers],
      [`Valid segments ${segment}`, samples.validSegments],
      [`Valid additions ${change}`, samples.additions],
      [`Valid removals ${change}`, samples.removals],
    ]),
  };
}

function lines(kinds: readonly (readonly [string, Iterable<string>])[]): string {
  return kinds
    .map(([title, samples]) => [title, [...samples].join(', ')])
    .filter(([, text]) => text !== '')
    .map(([title, text]) => `${title}: ${text}`)
    .join('\n');
}

/** Epoch ms of `2015-11-01+01:00:00` (a `+` in a query is a space); null for any other form. */
function readTime(text: string | null, otherwise: number): number | null {
  if (text === null) return otherwise;
  const parts = /^(\d{4}-\d\d-\d\d)[ +](\d\d:\d\d:\d\d)$/.exec(text);
  const time = parts ? Date.parse(`${parts[1]}T${parts[2]}Z`) : NaN;
  return Number.isNaN(time) ? null : time;
}
