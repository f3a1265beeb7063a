// What a queue is doing, in words, and how that looks.
import type { ShownState } from '../overview';
import { duration, word, wordOr } from './words';

export type Look = 'idle' | 'working' | 'waiting' | 'stopped';

const looks: Readonly<Record<ShownState['kind'], Look>> = {
  starting: 'waiting',
  outbox: 'stopped',
  parked: 'waiting',
  standby: 'idle',
  apart: 'waiting',
  paused: 'waiting',
  rateLimited: 'waiting',
  loginRefused: 'stopped',
  login: 'waiting',
  loginWait: 'waiting',
  trouble: 'waiting',
  refusing: 'stopped',
  working: 'working',
  idle: 'idle',
};

export function lookOf({ kind, sender }: ShownState): Look {
  return kind === 'standby' && sender === null ? 'waiting' : looks[kind];
}

export function stateText({ kind, code, secondsLeft, sender }: ShownState): string {
  if (kind === 'standby' && sender !== null) return word('state.standbyFor', { sender });
  const special = code === null ? '' : wordOr(`state.${kind}_${code}`, '');
  const text = special === '' ? word(`state.${kind}`) : special;
  return secondsLeft === null
    ? text
    : `${text} · ${word('state.again', { time: duration(secondsLeft * 1000) })}`;
}
