// A button that opens a menu of actions: by mouse, and by the keys that menus have.
import { make } from '../dom';

export interface MenuItem {
  readonly text: string;
  readonly title: string;
  readonly isOff: boolean;
  readonly choose: () => void;
}

export class Menu {
  readonly root: HTMLElement;
  private readonly button: HTMLButtonElement;
  private readonly list = make('div', { class: 'instant-audience-menu', role: 'menu' });

  /** @param items asked for whenever the menu opens */
  constructor(
    name: string,
    private readonly items: () => readonly MenuItem[],
  ) {
    this.button = make(
      'button',
      { type: 'button', class: 'red-ui-button', 'aria-haspopup': 'menu', 'aria-expanded': 'false' },
      `${name} `,
      make('i', { class: 'fa fa-caret-down', 'aria-hidden': 'true' }),
    );
    this.list.hidden = true;
    this.list.setAttribute('aria-label', name);
    this.root = make('div', { class: 'instant-audience-menu-place' }, this.button, this.list);
    this.button.addEventListener('click', () => (this.list.hidden ? this.open() : this.close()));
    this.root.addEventListener('keydown', (event) => this.key(event));
    this.root.addEventListener('focusout', ({ relatedTarget }) => {
      if (!this.root.contains(relatedTarget as Node | null)) this.close();
    });
  }

  private open(): void {
    this.list.replaceChildren(...this.items().map((item) => this.itemOf(item)));
    this.list.hidden = false;
    this.button.setAttribute('aria-expanded', 'true');
    this.focus(0);
  }

  private close(): void {
    this.list.hidden = true;
    this.button.setAttribute('aria-expanded', 'false');
  }

  /** An item that is off can still be reached, as in other menus. */
  private itemOf({ text, title, isOff, choose }: MenuItem): HTMLElement {
    const item = make('button', { type: 'button', role: 'menuitem', tabindex: '-1', title }, text);
    if (isOff) item.setAttribute('aria-disabled', 'true');
    item.addEventListener('click', () => {
      if (isOff) return;
      this.button.focus();
      this.close();
      choose();
    });
    return item;
  }

  private key(event: KeyboardEvent): void {
    const { length } = this.list.children;
    const at = [...this.list.children].indexOf(document.activeElement!);
    const { key } = event;
    if (this.list.hidden) {
      if (key !== 'ArrowDown') return;
      this.open();
    } else if (key === 'Escape') {
      this.button.focus();
      this.close();
    } else if (key === 'ArrowDown') this.focus((at + 1) % length);
    else if (key === 'ArrowUp') this.focus((at + length - 1) % length);
    else if (key === 'Home') this.focus(0);
    else if (key === 'End') this.focus(length - 1);
    else return;
    event.preventDefault();
    // Escape would also close a form of the editor.
    event.stopPropagation();
  }

  private focus(at: number): void {
    (this.list.children[at] as HTMLElement).focus();
  }
}
