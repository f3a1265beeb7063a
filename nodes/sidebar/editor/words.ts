// Words, numbers and times as the tab shows them, in the editor's language.
import { languageOf, long, short, tenths } from '../../shared/figures';
import { statusText } from '../../shared/queue-state';
import type { SidebarRed } from '../../types/red-sidebar';
import type { ShownState } from '../overview';

declare const RED: SidebarRed;

type Params = Readonly<Record<string, string | number>>;

/** @param of whose word it is */
export function word(key: string, params: Params = {}, of = 'instant-audience-sidebar'): string {
  return RED._(`@instant-audience/node-red-xandr/${of}:${key}`, params);
}

/** A word of the out node. */
export function outWord(key: string, params: Params = {}): string {
  return word(key, params, 'xandr-instant-audience-out');
}

/** A word, or another text where there is none for this key. */
export function wordOr(key: string, otherwise: string, params: Params = {}): string {
  const found = word(key, params);
  return found === '' || found.endsWith(key) ? otherwise : found;
}

/** The problem of a queue, by its code; `reason` is the system's message. */
export function troubleWords(code: string, reason: string): string {
  return wordOr(`trouble.${code}`, reason, { reason });
}

/** State of a queue, in the words of its nodes' status. */
export function stateText({ secondsLeft, ...condition }: ShownState): string {
  const text = statusText(condition, { _: outWord });
  const again = secondsLeft === null ? [] : [word('state.again', { time: duration(secondsLeft * 1000) })];
  return [text, ...again].join(' · ');
}

const language = (): string => languageOf({ _: word });

/** `1,234`, as the language writes it. */
export function number(figure: number): string {
  return long(figure, language());
}

/** `1.2k`, for little room. */
export function shortNumber(figure: number): string {
  return figure < 10_000 ? number(Math.round(figure)) : short(figure, language());
}

/** `4 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return word('duration.ms', { ms: Math.round(ms) });
  const seconds = ms / 1000;
  if (seconds < 10 && !Number.isInteger(seconds))
    return word('duration.s', { s: tenths(seconds, language()) });
  const whole = Math.floor(seconds);
  const [d, h, m, s] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  if (d > 0) return word('duration.dh', { d, h });
  if (h > 0) return word('duration.hm', { h, m });
  if (m === 0) return word('duration.s', { s });
  return s === 0 ? word('duration.min', { m }) : word('duration.minS', { m, s });
}

/** A time of today, or a day with it. */
export function time(atMs: number): string {
  const at = new Date(atMs);
  const sameDay = at.toDateString() === new Date().toDateString();
  const clock = { hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;
  return at.toLocaleString(language(), sameDay ? clock : { day: 'numeric', month: 'short', ...clock });
}
