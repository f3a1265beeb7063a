// Choice for queued entries, shown beside a changed address, member or queue: keep, move or discard after the deploy.
import type { EditorNode, EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

type Choice = 'keep' | 'move' | 'discard';

/** The answer of the route. */
interface Queued {
  /** In the deployed queue, when the form has another; else 0. */
  readonly waiting: number;
  readonly origin: string;
  readonly member: string;
  /** The possible choices. */
  readonly choices: readonly Choice[];
  /** Reasons for missing choices, and explanations. */
  readonly notes: readonly string[];
  /** The old queue's key in the tab's routes; null for a queue that does not survive the deploy. */
  readonly query: object | null;
}

/** Not after each key. */
const lookAfterMs = 200;

interface Chosen {
  readonly choice: Choice;
  readonly query: object;
}

/** By account: carried out after the next deploy. */
const chosen = new Map<string, Chosen>();
let isListening = false;

/** Shows the choice while the form is open. Returns a function that stores the choice when the form is saved. */
export function prepareQueuedEntries(
  account: EditorNode<object>,
  fields: JQuery,
  read: () => Record<string, string>,
): () => void {
  const place = $('#instant-audience-queued');
  const sentence = place.find('p');
  const list = place.find('select');
  const choosing = place.find('label, select');
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
    found = queued.waiting > 0 ? queued : null;
    place.toggle(found !== null);
    if (found === null) return;
    const { waiting, origin, member, choices, notes } = found;
    const first = choices.length > 0 ? 'waits' : 'ends';
    const sentences = [first, ...notes.map((note) => `note.${note}`)];
    sentence.text(sentences.map((key) => account._(`queued.${key}`, { waiting, origin, member })).join(' '));
    choosing.toggle(choices.length > 0);
    const chosenBefore = String(list.val());
    list.empty().append(
      choices.map((choice) =>
        $('<option>')
          .val(choice)
          .text(account._(`queued.${choice}`)),
      ),
    );
    list.val(choices.some((choice) => choice === chosenBefore) ? chosenBefore : (choices[0] ?? ''));
  };
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
    if (!found?.query) return;
    const choice = list.val() as Choice;
    if (choice === 'keep') return;
    chosen.set(account.id, { choice, query: found.query });
    if (isListening) return;
    isListening = true;
    RED.events?.on('deploy', () => carryOut((key, params) => account._(key, params)));
  };
}

type Words = (key: string, params?: Record<string, unknown>) => string;

function carryOut(words: Words): void {
  for (const [account, { choice, query }] of chosen) {
    chosen.delete(account);
    if (choice === 'move') post('moveOrphaned', { ...query, account }, words);
    else
      post('purgeOrphaned', query, words, (confirm) => post('purgeOrphaned', { ...query, confirm }, words));
  }
}

/** The purge route asks for confirmation; the form has already asked the user. */
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
