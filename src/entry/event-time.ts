// Reads the time of an event: epoch milliseconds, an ISO 8601 text with a zone, or a Date.
import { type Problem } from './issues';
import { shorten } from './shorten';

// A smaller number (before 1973) is in seconds, a larger one (after 5138) in micro- or nanoseconds. A wrong unit would
// expire every add.
const earliestMs = 1e11;
const latestMs = 1e14;

const isoTime = /^(\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** Epoch ms, null when absent, or the problem. */
export function readEventTime(raw: unknown): number | null | Problem {
  if (raw === undefined || raw === null) return null;
  if (typeof raw === 'number') return fromMs(raw);
  if (typeof raw === 'string') return fromIso(raw);
  // Database drivers return Dates. A Date of a function node belongs to another realm, so `instanceof` would fail.
  if (Object.prototype.toString.call(raw) === '[object Date]') return fromMs((raw as Date).getTime());
  return { code: 'event_time_type', params: { got: shorten(raw) } };
}

function fromMs(ms: number): number | Problem {
  if (!Number.isFinite(ms)) return { code: 'event_time_invalid', params: { got: shorten(ms) } };
  if (ms < earliestMs || ms > latestMs) return { code: 'event_time_unit', params: { got: shorten(ms) } };
  return Math.floor(ms);
}

function fromIso(text: string): number | Problem {
  const invalid: Problem = { code: 'event_time_invalid', params: { got: shorten(text) } };
  const parts = isoTime.exec(text);
  if (parts === null) return invalid;
  const [, year, month, day, zone] = parts;
  if (text.includes('T') && zone === undefined)
    return { code: 'event_time_no_zone', params: { got: shorten(text) } };
  const ms = Date.parse(text.replace(',', '.'));
  // Date.parse reads 30 February as 2 March.
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number.isNaN(ms) || Number(day) > lastDay) return invalid;
  return ms < earliestMs || ms > latestMs ? invalid : ms;
}
