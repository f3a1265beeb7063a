// Beside a changed address or member: what waits for the old one, and what becomes of it after the deploy.
import type { EditorNode, EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

/** What the route says. */
interface Queued {
  readonly waiting: number;
  /** What is in the form is another queue than the deployed one. */
  readonly changed: boolean;
  /** Neither of them is a sandbox. */
  readonly mayMove: boolean;
  readonly origin: string;
  readonly member: string;
  /** By which the tab's routes know the old queue; null for one that is not on disk. */
  readonly file: string | null;
}

type Choice = 'keep' | 'move' | 'discard';
/** Not after each key. */
const lookAfterMs = 200;
const choices: readonly Choice[] = ['keep', 'move', 'discard'];

interface Chosen {
  readonly choice: Choice;
  readonly file: string;
}

/** By account: carried out after the next deploy. */
const chosen = new Map<string, Chosen>();
let isListening = false;

/** Shows and asks while the form is open. Returns what remembers the choice when the form is saved. */
export function prepareQueuedEntries(
  account: EditorNode<object>,
  fields: JQuery,
  read: () => Record<string, string>,
): () => void {
  const place = $('#instant-audience-queued');
  const sentence = place.find('p');
  const list = place.find('select');
  let found: Queued | null = null;
  let asked = 0;
  const look = (): void => {
    const mine = ++asked;
    $.ajax({
      url: 'instant-audience/account/queued',
      method: 'POST',
      contentType: 'application/json',
      data: JSON.stringify({ id: account.id, values: read() }),
    }).then(
      (queued: Queued) => {
        if (mine === asked) show(queued);
      },
      () => undefined,
    );
  };
  const show = (queued: Queued): void => {
    found = queued.changed && queued.waiting > 0 && queued.file !== null ? queued : null;
    place.toggle(found !== null);
    const { waiting, origin, member, mayMove } = queued;
    sentence.text(account._('queued.waits', { waiting, origin, member }));
    list.find('option[value="move"]').prop('disabled', !mayMove).prop('hidden', !mayMove);
    if (!mayMove && list.val() === 'move') list.val('keep');
  };
  list.empty().append(
    choices.map((choice) =>
      $('<option>')
        .val(choice)
        .text(account._(`queued.${choice}`)),
    ),
  );
  place.hide();
  // The field has no change event until it is left, which may be by saving the form.
  let timer: ReturnType<typeof setTimeout> | undefined;
  fields.on('change input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, lookAfterMs);
  });
  look();
  return () => {
    chosen.delete(account.id);
    if (found?.file == null) return;
    const choice = list.val() as Choice;
    if (choice !== 'keep') chosen.set(account.id, { choice, file: found.file });
    if (isListening) return;
    isListening = true;
    RED.events?.on('deploy', () => carryOut((key, params) => account._(key, params)));
  };
}

type Words = (key: string, params?: Record<string, unknown>) => string;

function carryOut(words: Words): void {
  for (const [account, { choice, file }] of chosen) {
    chosen.delete(account);
    if (choice === 'move') post('moveLeft', { file, account }, words);
    else post('purgeLeft', { file }, words, (confirm) => post('purgeLeft', { file, confirm }, words));
  }
}

/** Discarding asks back once, since another page could not answer; the form has asked already. */
function post(route: string, body: object, words: Words, again?: (confirm: unknown) => void): void {
  const ended = (reply: Readonly<Record<string, unknown>>): void => {
    if (reply.code === 'confirm' && again !== undefined) again(reply.confirm);
    else {
      const code = reply.code === 'moved' && reply.kept === 0 ? 'movedAll' : String(reply.code);
      const key = `queued.${['moved', 'movedAll', 'purged'].includes(code) ? code : 'failed'}`;
      RED.notify(words(key, { reason: '', ...reply }), key === 'queued.failed' ? 'error' : 'success');
    }
  };
  $.ajax({
    url: `instant-audience/tab/${route}`,
    method: 'POST',
    contentType: 'application/json',
    data: JSON.stringify(body),
  }).then(ended, (reply: unknown) => {
    const { responseJSON: answer } = reply as { readonly responseJSON?: Readonly<Record<string, unknown>> };
    ended(answer ?? {});
  });
}
