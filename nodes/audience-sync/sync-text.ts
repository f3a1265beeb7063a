// What a sync is doing, in one line, for the status of its node and for the tab Audience.

import type { SyncView } from '../../src/sync/index';
import type { Look } from '../shared/calm-status';
import { languageOf, short } from '../shared/figures';
import type { Words } from '../shared/words';

export interface SyncLine {
  readonly look: Look;
  readonly text: string;
}

/** @param words of the audience sync */
export function lineOf(view: SyncView, words: Pick<Words, '_'>): SyncLine {
  const figure = (number: number): string => short(number, languageOf(words));
  const word = (key: string, params: Record<string, string> = {}): string => words._(`status.${key}`, params);
  switch (view.phase) {
    case 'gathering':
      return { look: 'working', text: word('gather', { rows: figure(view.gathered) }) };
    case 'gathered':
    case 'counting':
      return view.waitsFor > 0
        ? { look: 'waiting', text: word('waits', { pending: figure(view.waitsFor) }) }
        : { look: 'working', text: word('compare', { percent: String(Math.floor(view.counted * 100)) }) };
    case 'sending':
    case 'settling': {
      const params = { done: figure(view.settled), all: figure(view.changes) };
      return { look: 'working', text: word('send', params) };
    }
    case 'refused':
      return view.problem?.code === 'preview'
        ? { look: 'idle', text: word('previewed') }
        : { look: 'waiting', text: word('refused') };
    case 'idle':
      return { look: 'idle', text: idleText(view, words) };
  }
}

function idleText({ ended, members, nextRefreshWallMs }: SyncView, words: Pick<Words, '_'>): string {
  if (ended === null) return words._('status.noRun');
  const language = languageOf(words);
  const params = { members: short(members, language) };
  if (nextRefreshWallMs === null) return words._('status.members', params);
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  const time = new Date(nextRefreshWallMs).toLocaleTimeString(language, clock);
  return words._('status.membersNext', { ...params, time });
}
