// State of a queue, in the words of its nodes' status.
import type { ShownState } from '../overview';
import { duration, outWord, troubleWords, word } from './words';

/** More of it: of a queue file in the editor's words, of service and network in their own, which are English. */
export function detailOf({ kind, code, message }: ShownState): string {
  if (message === null) return '';
  return kind === 'outbox' && code !== null ? troubleWords(code, message) : message;
}

export function stateText({ key, params, secondsLeft }: ShownState): string {
  const text = outWord(`status.${key}`, { ...params });
  return secondsLeft === null
    ? text
    : `${text} · ${word('state.again', { time: duration(secondsLeft * 1000) })}`;
}
