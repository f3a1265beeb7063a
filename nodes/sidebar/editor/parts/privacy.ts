// Privacy: erases a user from all queues and stored entries, for requests under privacy law, and lifts suppressions.
import type { ShownSuppression } from '../../actions';
import { ask, call, sentenceOf } from '../calls';
import { button, Foldable, line, Listed, make, opener, setText } from '../dom';
import { number, time, word } from '../words';

/** The newest ones. */
const mostListed = 100;

/** `any` of the listed kinds, `null` the platform's own and mapped ids. */
const kinds = ['any', 'null', 'idfa', 'aaid', 'sha1udid', 'md5udid', 'openudid', 'custom'] as const;

export class PrivacyPart {
  private readonly fold = new Foldable(word('part.privacy'));
  readonly root = this.fold.root;
  private readonly user = textInput('instant-audience-erase-user');
  private readonly kind = make('select', { id: 'instant-audience-erase-kind' });
  private readonly custom = textInput('instant-audience-erase-custom');
  private readonly customRow = field(this.custom, 'erase.custom');
  private readonly result = make('p', { role: 'status', 'aria-live': 'polite' });
  private readonly suppressed = new Listed(word('suppressed.title'));
  private readonly suppressedNote = make('p');
  private readonly list = make('div', {}, this.suppressedNote, this.suppressed.root);

  constructor() {
    for (const kind of kinds) {
      const isName = !['any', 'null', 'custom'].includes(kind);
      const text = isName ? kind : word(`erase.kind_${kind}`);
      this.kind.append(make('option', { value: kind }, text));
    }
    this.customRow.hidden = true;
    this.kind.addEventListener('change', () => (this.customRow.hidden = this.kind.value !== 'custom'));
    const erase = button(word('button.erase'), () => this.ask('erase'), true);
    const lift = button(word('button.lift'), () => this.ask('lift'));
    const listed = opener(word('suppressed.show'), this.list, () => void this.load());
    this.fold.body.append(
      make('h4', {}, word('erase.title')),
      make('p', {}, word('erase.about')),
      field(this.user, 'erase.user'),
      field(this.kind, 'erase.kind'),
      this.customRow,
      make('div', { class: 'instant-audience-buttons' }, erase, lift),
      this.result,
      listed,
      this.list,
    );
  }

  private ask(action: 'erase' | 'lift'): void {
    const user = this.user.value.trim();
    if (user === '') this.missing(this.user, 'reply.userMissing');
    else if (this.kind.value === 'custom' && this.custom.value.trim() === '')
      this.missing(this.custom, 'reply.domainMissing');
    else {
      const asked = { user, ...this.domain() };
      const [key, doIt] = [`ask.${action}`, word(`button.${action}Now`)];
      ask(word(key, { user }), doIt, () => void this.act(action, asked));
    }
  }

  private missing(input: HTMLInputElement, key: string): void {
    setText(this.result, word(key));
    input.focus();
  }

  /** Any of the listed kinds without one. */
  private domain(): { readonly domain?: string | null } {
    const { value } = this.kind;
    if (value === 'any') return {};
    return { domain: value === 'null' ? null : value === 'custom' ? this.custom.value.trim() : value };
  }

  private async act(action: 'erase' | 'lift', asked: object): Promise<void> {
    setText(this.result, word(action === 'erase' ? 'erase.working' : 'suppressed.working'));
    const reply = await call('POST', `tab/${action}`, asked);
    setText(this.result, sentenceOf(reply));
    if (reply.status === 200) this.user.value = '';
    if (!this.list.hidden) await this.load();
  }

  // ── Suppressed users ────────────────────────────────────────────────────────────────────────────────────────

  private async load(): Promise<void> {
    const reply = await call('GET', 'tab/suppressions');
    const found = reply.status === 200 ? (reply.body.found as readonly ShownSuppression[]) : [];
    const note = word(reply.body.isWhole === true ? 'suppressed.many' : 'suppressed.partly', {
      many: number(found.length),
    });
    setText(this.suppressedNote, reply.status === 200 ? note : sentenceOf(reply));
    this.suppressed.show(found.slice(-mostListed).reverse(), (one) => this.item(one));
  }

  private item({ queue, member, hash, sinceWallMs }: ShownSuppression): HTMLElement {
    const since = word('suppressed.since', { time: time(sinceWallMs), member, mark: hash.slice(0, 8) });
    const lift = button(word('button.lift'), () => {
      const question = word('ask.lift', { user: hash.slice(0, 8) });
      ask(question, word('button.liftNow'), () => void this.act('lift', { queue, hash }));
    });
    return make('li', {}, line(since, lift));
  }
}

function textInput(id: string): HTMLInputElement {
  return make('input', { type: 'text', id, autocomplete: 'off' });
}

function field(input: HTMLElement, key: string): HTMLElement {
  return make('div', { class: 'instant-audience-field' }, make('label', { for: input.id }, word(key)), input);
}
