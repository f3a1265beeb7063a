// Calls of the tab's admin routes, their confirmations, and the sentences about their results.
import type { SidebarRed } from '../../types/red-sidebar';
import { make } from './dom';
import { number, troubleWords, word, wordOr } from './words';

declare const RED: SidebarRed;

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** Of the whole body. */
  readonly text?: string;
}

/** With the editor's login, relative to its own address, wherever that is. Never rejects; status 0 when nobody answered. */
export function call(method: 'GET' | 'POST', path: string, body?: object): Promise<Reply> {
  return new Promise((resolve) => {
    void $.ajax({
      method,
      url: `${RED.settings.apiRootUrl ?? ''}instant-audience/${path}`,
      ...(body !== undefined && { contentType: 'application/json', data: JSON.stringify(body) }),
      complete: ({ status, responseText }) =>
        resolve({ status, body: parsed(responseText), text: responseText }),
    });
  });
}

function parsed(answer: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(answer);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Asks for confirmation of the action. */
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

/** Purges a queue after a confirmation: the second request carries the key from the first reply. */
export async function purge(action: 'purge' | 'purgeOrphaned', queue: string, name: string): Promise<void> {
  const reply = await call('POST', `tab/${action}`, { queue });
  const { confirm, waiting } = reply.body;
  if (reply.status !== 409 || typeof confirm !== 'string') {
    tell(reply);
    return;
  }
  ask(word('ask.purge', { name, many: number(Number(waiting)) }), word('button.purgeNow'), () => {
    void call('POST', `tab/${action}`, { queue, confirm }).then(tell);
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
  const figures = {
    entries: figure('entries'),
    inFlight: figure('inFlight'),
    moved: figure('moved'),
    kept: figure('kept'),
    segments: figure('segments'),
  };
  const isWhole = Number(body.inFlight ?? 0) + Number(body.kept ?? 0) === 0;
  const key = isWhole && wordOr(`reply.${code}All`, '') !== '' ? `${code}All` : code;
  return word(`reply.${key}`, { ...figures, where: whereOf(body), reason });
}

/** The unreached place: a file, a database, a queue, or one side of a shared queue. */
function whereOf({ file, host, database, missed, origin, member }: Reply['body']): string {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  if (typeof file === 'string') return word('where.file', { file });
  if (typeof host === 'string') return word('where.database', { host, database: text(database) });
  const queue = { origin: text(origin), member: text(member) };
  if (missed === 'kept') return word('where.kept', queue);
  return missed === 'database' ? word('where.shared', queue) : word('left.name_disk', queue);
}

/** The error in the editor's language if it is known; else the system's message. */
function troubleText({ trouble, reason }: Reply['body'], status: number): string {
  const told = typeof reason === 'string' ? reason : String(status);
  return typeof trouble === 'string' ? troubleWords(trouble, told) : told;
}

export function tell(reply: Reply): void {
  // 207: partly done.
  const isGood = reply.status >= 200 && reply.status < 300 && reply.status !== 207;
  RED.notify(make('p', {}, sentenceOf(reply)), { type: isGood ? 'success' : 'error', timeout: 6000 });
}
