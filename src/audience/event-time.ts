// When an event happened: epoch milliseconds, an ISO 8601 text with its zone, or a Date.
import { type Problem } from './issues';
import { shorten } from './shorten';

// Below (1973) a number is seconds, above (5138) it is micro- or nanoseconds; a wrong unit would expire everything.
const earliestMs = 1e11;
const latestMs = 1e14;

const isoTime = /^(\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** Epoch ms, null when absent, or what is wrong. */
export function readEventTime(raw: unknown): number | null | Problem {
  if (raw === undefined || raw === null) return null;
  if (typeof raw === 'number') return fromMs(raw);
  if (typeof raw === 'string') return fromIso(raw);
  // Database drivers give Dates; one from a function node belongs to another realm, so no instanceof.
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
  // Date.parse lets 30 February pass as 2 March.
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number.isNaN(ms) || Number(day) > lastDay) return invalid;
  return ms < earliestMs || ms > latestMs ? invalid : ms;
}
