// Picker for the member's segments: a search field and a list, for mouse and keyboard.
//
// It opens inside its row rather than over the form: nothing to cut off in a small window, and Tab goes on from there.
import type { EditorNode } from '../../types/red-editor';
import { figuresOf } from '../figures';
import { accountOf, accountValues } from './account';
import { post, whyNoReply } from './post';

/** A segment of the list, as the runtime gives it. */
export interface Segment {
  readonly id: number;
  readonly code: string | null;
  readonly shortName: string | null;
  readonly state: string | null;
  readonly memberId: number | null;
}

interface Page {
  readonly segments: readonly Segment[];
  readonly total: number | null;
  readonly next: number | null;
}

/** The account routes' answer without a list; its sentence is in the account's catalogue. */
interface Refusal {
  readonly result: string;
  readonly params?: Record<string, string | number>;
  readonly problem?: { readonly key: string; readonly params?: Record<string, string | number> };
}

const accountWords = '@instant-audience/node-red-xandr/xandr-account:';
/** Every node that has a picker uses the words of the builder. */
const words = '@instant-audience/node-red-xandr/xandr-segment-builder:segment-builder';
const searchAfterMs = 200;
/** The next page is fetched this many pixels before the end is in sight. */
const nearEndPx = 60;

export interface PickerButton {
  readonly button: JQuery;
  /** Opens the picker, if it is closed, and searches for the text. */
  readonly search: (text: string) => void;
}

/** The button that opens the picker in `place`; `number` makes its ids unique. */
export function makePicker(
  node: EditorNode<object>,
  place: JQuery,
  number: number,
  pick: (segment: Segment) => void,
): PickerButton {
  const word = node._(`${words}.picker.open`);
  const button = $('<button>', {
    type: 'button',
    class: 'red-ui-button instant-audience-search',
    title: word,
    'aria-label': word,
    'aria-expanded': 'false',
  }).append($('<i>', { class: 'fa fa-search', 'aria-hidden': 'true' }));
  let open: Picker | null = null;
  const close = (): void => {
    open?.remove();
    open = null;
    button.attr('aria-expanded', 'false');
  };
  const search = (text: string): void => {
    button.attr('aria-expanded', 'true');
    open ??= new Picker(node, place, number, (segment) => {
      close();
      if (segment !== null) pick(segment);
      button.trigger('focus');
    });
    open.searchFor(text);
  };
  button.on('click', () => (open === null ? search('') : close()));
  return { button, search };
}

class Picker {
  private readonly panel = $('<div>', { class: 'instant-audience-picker' });
  private readonly search: JQuery;
  private readonly list: JQuery;
  private readonly says = $('<div>', { class: 'instant-audience-picker-says', role: 'status' });
  private found: Segment[] = [];
  private next: number | null = null;
  private active = -1;
  /** Rises with every search, so that a late answer to an older search is dropped. */
  private asked = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** @param end called with the segment, or with null when nothing was picked */
  constructor(
    private readonly node: EditorNode<object>,
    place: JQuery,
    private readonly number: number,
    private readonly end: (segment: Segment | null) => void,
  ) {
    const listId = `instant-audience-found-${number}`;
    // As attributes: jQuery UI takes some of these names for widgets.
    this.search = $('<input>').attr({
      type: 'text',
      role: 'combobox',
      autocomplete: 'off',
      spellcheck: 'false',
      placeholder: this.word('search'),
      'aria-label': this.word('search'),
      'aria-autocomplete': 'list',
      'aria-expanded': 'true',
      'aria-controls': listId,
    });
    this.list = $('<ul>', {
      id: listId,
      class: 'instant-audience-found',
      role: 'listbox',
      'aria-label': this.word('list'),
    });
    this.panel.append(this.search, this.list, this.says).appendTo(place);
    this.listen();
  }

  searchFor(text: string): void {
    this.search.val(text).trigger('focus');
    void this.ask(0);
  }

  remove(): void {
    clearTimeout(this.timer);
    this.asked += 1;
    this.panel.remove();
  }

  private listen(): void {
    // The form's own handlers are not concerned: nothing here is saved until it is picked.
    this.panel.on('keyup change input', (event) => event.stopPropagation());
    this.search.on('input', () => {
      clearTimeout(this.timer);
      // The list belongs to an older search: Enter must not choose from it.
      this.activate(-1);
      this.timer = setTimeout(() => void this.ask(0), searchAfterMs);
    });
    this.panel.on('keydown', (event) => this.key(event.key, event));
    this.list.on('scroll', () => {
      const list = this.list[0]!;
      if (list.scrollTop + list.clientHeight > list.scrollHeight - nearEndPx) this.more();
    });
    // The field keeps the focus, so that typing goes on.
    this.list.on('mousedown', (event) => event.preventDefault());
    this.list.on('click', 'li', (event) => this.choose($(event.currentTarget as HTMLElement).index()));
  }

  private key(key: string, event: JQuery.TriggeredEvent): void {
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: 6, PageUp: -6 };
    const step = steps[key];
    if (step !== undefined) this.move(step);
    else if (key === 'Enter') this.choose(this.active);
    else if (key === 'Escape') this.end(null);
    else return;
    event.preventDefault();
    // Escape and Enter mean something to the tray, too.
    event.stopPropagation();
  }

  // ── Asking ──────────────────────────────────────────────────────────────────────────────────────────────────

  private async ask(start: number): Promise<void> {
    const mine = ++this.asked;
    const account = String($('#node-input-account').val() ?? '');
    if (account === '' || account === '_ADD_') {
      this.refuse(this.word('noAccount'));
      return;
    }
    if (start === 0) this.says.text(this.word('asking'));
    const answer = await this.read(account, start).then(
      (found) => ('result' in found ? this.sentenceOf(found) : found),
      (reply: unknown) => this.refusal(reply),
    );
    if (mine !== this.asked) return;
    if (typeof answer === 'string') this.refuse(answer);
    else this.show(answer, start);
  }

  /** Through the deployed account; with the editor's own values where it is not deployed, or changed since. */
  private async read(account: string, start: number): Promise<Page | Refusal> {
    const query = { search: String(this.search.val()), start };
    const own = accountOf(account);
    if (own?.changed !== true) {
      const url = `instant-audience/account/${encodeURIComponent(account)}/segments`;
      // If a variable names the account, only the deployed node can resolve it.
      const data = { ...query, node: this.node.id };
      const answer = (await $.ajax({ url, data, dataType: 'json' })) as Page | Refusal;
      if (own === null || !('result' in answer) || answer.result !== 'notDeployed') return answer;
    }
    const form = { id: account, values: accountValues(own) };
    return (await post('account/segments', { ...form, ...query })) as Page | Refusal;
  }

  private more(): void {
    const start = this.next;
    this.next = null;
    if (start !== null) void this.ask(start);
  }

  private refusal(reply: unknown): string {
    const { responseJSON: refusal } = reply as { readonly responseJSON?: Refusal };
    const why = whyNoReply(reply);
    return why === 'notPermitted' || refusal === undefined ? this.word(why) : this.sentenceOf(refusal);
  }

  private sentenceOf({ result, params, problem }: Refusal): string {
    if (result === 'notDeployed') return this.word('notDeployed');
    return problem === undefined
      ? this.node._(`${accountWords}test.${result}`, params)
      : this.node._(`${accountWords}${problem.key}`, problem.params);
  }

  // ── Showing ─────────────────────────────────────────────────────────────────────────────────────────────────

  private show({ segments, total, next }: Page, start: number): void {
    if (start === 0) this.empty();
    for (const segment of segments) this.list.append(this.option(segment, this.found.push(segment) - 1));
    this.next = next;
    const shown = this.found.length;
    const all = total ?? shown;
    const figures = figuresOf({ shown, total: all }, this.node, `${words}.language`);
    if (shown === 0) this.says.text(this.word('none'));
    else this.says.text(this.word(all > shown ? 'some' : 'all', figures));
    if (start === 0 && shown > 0) this.activate(0);
  }

  private refuse(sentence: string): void {
    this.empty();
    this.says.text(sentence);
  }

  private empty(): void {
    this.found = [];
    this.next = null;
    this.list.empty().scrollTop(0);
    this.activate(-1);
  }

  private option({ id, code, shortName, state }: Segment, index: number): JQuery {
    const item = $('<li>', { id: this.optionId(index), role: 'option', 'aria-selected': 'false' });
    item.append($('<span>', { class: 'instant-audience-name' }).text(shortName ?? code ?? String(id)));
    const key = code === null ? String(id) : `${code} · ${id}`;
    item.append($('<span>', { class: 'instant-audience-key' }).text(key));
    return state === null ? item : item.append(this.state(state));
  }

  /** A state of a kind that this version does not know is shown as the service says it. */
  private state(state: string): JQuery {
    const known = state === 'active' || state === 'inactive';
    const place = $('<span>').text(known ? this.word(state) : state);
    if (state === 'active') return place.addClass('instant-audience-key');
    const icon = $('<i>', { class: 'fa fa-exclamation-triangle', 'aria-hidden': 'true' });
    return place.addClass('instant-audience-off').prepend(icon, ' ');
  }

  private move(step: number): void {
    if (this.found.length === 0) return;
    const last = this.found.length - 1;
    this.activate(Math.max(0, Math.min(last, this.active + step)));
    if (this.active === last) this.more();
  }

  private activate(index: number): void {
    this.active = index;
    this.list.children().attr('aria-selected', 'false');
    const item = index < 0 ? null : this.list.children().eq(index).attr('aria-selected', 'true');
    item?.[0]?.scrollIntoView({ block: 'nearest' });
    this.search.attr('aria-activedescendant', item === null ? null : this.optionId(index));
  }

  private choose(index: number): void {
    const segment = this.found[index];
    if (segment !== undefined) this.end(segment);
  }

  private optionId(index: number): string {
    return `instant-audience-found-${this.number}-${index}`;
  }

  private word(name: string, params?: Record<string, unknown>): string {
    return this.node._(`${words}.picker.${name}`, params);
  }
}
