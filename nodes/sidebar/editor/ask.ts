// Questions before something that cannot be taken back, and what came of an action.
import type { SidebarRed } from '../../types/red-sidebar';
import type { Reply } from './api';
import { make } from './dom';
import { number, troubleWords, word, wordOr } from './words';

declare const RED: SidebarRed;

/** Asks once more, naming what will be done. */
export function ask(question: string, doIt: string, then: () => void): void {
  const notification = RED.notify(make('div', {}, make('p', {}, question)), {
    type: 'warning',
    modal: true,
    fixed: true,
    buttons: [
      { text: word('button.cancel'), click: () => notification.close() },
      {
        text: doIt,
        class: 'primary',
        click: () => {
          notification.close();
          then();
        },
      },
    ],
  });
}

/** The sentence for a reply, in the editor's language. */
export function sentenceOf({ status, body }: Reply): string {
  if (status === 0) return word('reply.noAnswer');
  if (status === 401 || status === 403) return word('reply.notPermitted');
  const code = typeof body.code === 'string' ? body.code : 'failed';
  const figure = (name: string): string => number(Number(body[name] ?? 0));
  const reason = troubleText(body, status);
  if (wordOr(`reply.${code}`, '') === '') return word('reply.failed', { reason });
  const file = typeof body.file === 'string' ? body.file : '';
  return word(`reply.${code}`, { entries: figure('entries'), inFlight: figure('inFlight'), file, reason });
}

/** What went wrong, in the editor's language as far as it is known; else in the system's. */
function troubleText({ trouble, reason }: Reply['body'], status: number): string {
  const told = typeof reason === 'string' ? reason : String(status);
  return typeof trouble === 'string' ? troubleWords(trouble, told) : told;
}

export function tell(reply: Reply): void {
  const isGood = reply.status >= 200 && reply.status < 300;
  RED.notify(make('p', {}, sentenceOf(reply)), { type: isGood ? 'success' : 'error', timeout: 6000 });
}
