// Reads Retry-After headers: seconds or HTTP dates, possibly several (service.md 3.4).

export type ReplyHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const DEFAULT_MS = 1000;
/** Limits the harm of a wrong header: an account tries again after an hour at the latest. */
const MAX_MS = 3_600_000;
/**
 * `Wed, 21 Oct 2015 07:28:00 GMT` and its older forms. They contain commas, so dates are removed before the rest is
 * split.
 */
const HTTP_DATE = /[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT/g;

/** All values of a header, whatever the case of its name. */
export function headerValues(headers: ReplyHeaders, name: string): readonly string[] {
  return Object.entries(headers).flatMap(([key, value]) =>
    value !== undefined && key.toLowerCase() === name ? value : [],
  );
}

/**
 * Milliseconds to wait: the largest of all values, at least 1 s (also without a readable value), at most 1 h.
 * A date counts from the reply's own `Date` if it has one, so that a wrong local clock does no harm.
 *
 * @param wallMs epoch ms of this machine, for a reply without a `Date`
 */
export function retryAfterMs(headers: ReplyHeaders, wallMs: number): number {
  const waits = headerValues(headers, 'retry-after').flatMap((value) => [
    ...secondsIn(value).map((seconds) => seconds * 1000),
    ...datesIn(value).map((date) => date - (datesIn(headerValues(headers, 'date').join())[0] ?? wallMs)),
  ]);
  return Math.min(MAX_MS, Math.max(DEFAULT_MS, ...waits));
}

function secondsIn(value: string): number[] {
  return value
    .replace(HTTP_DATE, '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => /^\d+(\.\d+)?$/.test(part))
    .map(Number);
}

function datesIn(value: string): number[] {
  return [...value.matchAll(HTTP_DATE)].map(([date]) => Date.parse(date)).filter(Number.isFinite);
}
