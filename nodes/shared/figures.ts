// Numbers as a catalogue's language writes them, for statuses, errors, reports, forms and the tab Audience.

import type { Words } from './words';

/** BCP 47 tag of the texts: Node-RED may fall back to those of another language than the reader's. */
export function languageOf(words: Pick<Words, '_'>, key = 'language'): string {
  const found = words._(key);
  return found.endsWith(key) ? 'en-US' : found;
}

/** A cache, since making a format takes a thousand times as long as using it. */
const formats = new Map<string, Intl.NumberFormat>();

function written(figure: number, language: string, digits: Intl.NumberFormatOptions): string {
  const key = `${language} ${digits.minimumFractionDigits ?? 0}`;
  const format = formats.get(key) ?? new Intl.NumberFormat(language, { maximumFractionDigits: 1, ...digits });
  formats.set(key, format);
  return format.format(figure);
}

/** 4120 as `4,120` or `4.120`, 12.34 as `12.3` or `12,3`. */
export function long(figure: number, language: string): string {
  return written(figure, language, {});
}

/** Numbers of a sentence's placeholders; texts are left as they are. */
export function figuresOf(
  params: Readonly<Record<string, string | number>>,
  words: Pick<Words, '_'>,
  key = 'language',
): Record<string, string> {
  const language = languageOf(words, key);
  const texts = Object.entries(params).map(([name, value]) => [
    name,
    typeof value === 'number' ? long(value, language) : value,
  ]);
  return Object.fromEntries(texts) as Record<string, string>;
}

/** An hour of the service, which counts in UTC: `Jan 5, 2026, 10:00 UTC`. */
export function hourOf(time: string, language: string): string {
  return new Date(time).toLocaleString(language, {
    ...{ year: 'numeric', month: 'short', day: 'numeric' },
    ...{ hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC', timeZoneName: 'short' },
  });
}

/** 3 as `3.0` or `3,0`. */
export function tenths(figure: number, language: string): string {
  return written(figure, language, { minimumFractionDigits: 1 });
}

/** 1234 as `1.2k` or `1,2k`: four characters at most. */
export function short(figure: number, language: string): string {
  let value = figure;
  let unit = 0;
  for (; value >= 999.5 && unit < 3; unit += 1) value /= 1000;
  if (unit === 0) return long(figure, language);
  return `${value < 9.95 ? tenths(value, language) : Math.round(value)}${' kMG'[unit]!}`;
}
