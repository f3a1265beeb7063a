// Privacy: erases a user from all queues and stored entries, for requests under privacy law.
import { ask, call, sentenceOf } from '../calls';
import { button, Foldable, make, setText } from '../dom';
import { word } from '../words';

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

  constructor() {
    for (const kind of kinds) {
      const isName = !['any', 'null', 'custom'].includes(kind);
      const text = isName ? kind : word(`erase.kind_${kind}`);
      this.kind.append(make('option', { value: kind }, text));
    }
    this.customRow.hidden = true;
    this.kind.addEventListener('change', () => (this.customRow.hidden = this.kind.value !== 'custom'));
    const erase = button(word('button.erase'), () => this.ask(), true);
    this.fold.body.append(
      make('h4', {}, word('erase.title')),
      make('p', {}, word('erase.about')),
      field(this.user, 'erase.user'),
      field(this.kind, 'erase.kind'),
      this.customRow,
      make('div', { class: 'instant-audience-buttons' }, erase),
      this.result,
    );
  }

  private ask(): void {
    const user = this.user.value.trim();
    if (user === '') this.missing(this.user, 'reply.userMissing');
    else if (this.kind.value === 'custom' && this.custom.value.trim() === '')
      this.missing(this.custom, 'reply.domainMissing');
    else {
      const asked = { user, ...this.domain() };
      ask(word('ask.erase', { user }), word('button.eraseNow'), () => void this.erase(asked));
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

  private async erase(asked: object): Promise<void> {
    setText(this.result, word('erase.working'));
    const reply = await call('POST', 'tab/erase', asked);
    setText(this.result, sentenceOf(reply));
    if (reply.status === 200) this.user.value = '';
  }
}

function textInput(id: string): HTMLInputElement {
  return make('input', { type: 'text', id, autocomplete: 'off' });
}

function field(input: HTMLElement, key: string): HTMLElement {
  return make('div', { class: 'instant-audience-field' }, make('label', { for: input.id }, word(key)), input);
}
