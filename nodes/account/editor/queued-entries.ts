// Choice for queued entries, shown beside a changed address, member or queue: keep, move or discard after the deploy.
import { post } from '../../shared/editor/post';
import { figuresOf } from '../../shared/figures';
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
    post('account/queued', { id: account.id, values: read() }).then(
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
    sentence.text(
      sentences
        .map((key) => account._(`queued.${key}`, { origin, member, ...figuresOf({ waiting }, account) }))
        .join(' '),
    );
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
type Reply = Readonly<Record<string, unknown>>;

function carryOut(words: Words): void {
  for (const [account, one] of chosen) {
    chosen.delete(account);
    void act(account, one).then((reply) => tell(words, reply));
  }
}

/** The purge route asks for confirmation; the form has already asked the user. */
async function act(account: string, { choice, query }: Chosen): Promise<Reply> {
  if (choice === 'move') return answerOf('moveOrphaned', { ...query, account });
  const reply = await answerOf('purgeOrphaned', query);
  return reply.code === 'confirm' ? answerOf('purgeOrphaned', { ...query, confirm: reply.confirm }) : reply;
}

/** Also of a call that is refused. */
async function answerOf(route: string, body: object): Promise<Reply> {
  try {
    return (await post(`tab/${route}`, body)) as Reply;
  } catch (error) {
    return (error as { readonly responseJSON?: Reply }).responseJSON ?? {};
  }
}

function tell(words: Words, reply: Reply): void {
  const code = reply.code === 'moved' && reply.kept === 0 ? 'movedAll' : String(reply.code);
  const key = `queued.${['moved', 'movedAll', 'purged'].includes(code) ? code : 'failed'}`;
  const { moved, kept, entries } = reply;
  const counts = { moved: Number(moved), kept: Number(kept), entries: Number(entries) };
  // The editor shows a text as HTML, and the reason may quote a database.
  const text = words(key, { reason: reply.reason ?? '', ...figuresOf(counts, { _: words }) });
  const message = $('<p>').text(text);
  RED.notify(message, key === 'queued.failed' ? 'error' : 'success');
}
