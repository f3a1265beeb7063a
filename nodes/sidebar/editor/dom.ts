// Helpers to build and change elements; they leave unchanged elements alone.
import { docsAddress, type Section } from '../../shared/docs';
import type { SidebarRed } from '../../types/red-sidebar';
import { word } from './words';

declare const RED: SidebarRed;

type Child = Node | string;

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.replaceChildren(...wrapped(text));
}

/** A text whose URLs break between their parts: not inside a number, and not after a hyphen. */
export function wrapped(text: string): Child[] {
  return text.split(/(https?:\/\/[^\s,()]+)/).map((part, at) => {
    if (at % 2 === 0) return part;
    const parts = part.split(/(?<=[^/:]\/)|(?<=\/\/)|(?=:\d)|(?=\.[a-z])/i);
    const whole = parts.map((one) => make('span', {}, one));
    return make('span', { class: 'instant-audience-url' }, ...whole);
  });
}

/** Hidden for null. */
export function showText(element: HTMLElement, text: string | null): void {
  setShown(element, text !== null);
  setText(element, text ?? '');
}

export function setShown(element: HTMLElement, shown: boolean): void {
  if (element.hidden === shown) element.hidden = !shown;
}

export function setAttribute(element: HTMLElement, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A link to what the documentation says. */
export function docsLink(section: Section): HTMLAnchorElement {
  const link = { href: docsAddress(section), target: '_blank', rel: 'noopener' };
  return make('a', link, word('example.docs'));
}

/** Whether the user may press the tab's buttons. */
export function mayAct(): boolean {
  return RED.user.hasPermission('instant-audience.write');
}

/** A real button, which a keyboard reaches and a screen reader names. */
export function button(text: string, click: () => void, isDangerous = false): HTMLButtonElement {
  const look = isDangerous ? 'red-ui-button instant-audience-button-danger' : 'red-ui-button';
  const made = make('button', { type: 'button', class: look }, text);
  made.addEventListener('click', click);
  made.disabled = !mayAct();
  if (made.disabled) made.title = word('tip.notPermitted');
  return made;
}

/** Looks like a link, acts on this page. */
export function linkButton(text: string, click: () => void): HTMLButtonElement {
  const made = make('button', { type: 'button', class: 'instant-audience-link' }, text);
  made.addEventListener('click', click);
  return made;
}

/** A button that opens and closes an element below it. */
export function opener(text: string, opened: HTMLElement, onOpen: () => void): HTMLButtonElement {
  opened.hidden = true;
  const made = linkButton(text, () => {
    opened.hidden = !opened.hidden;
    made.setAttribute('aria-expanded', String(!opened.hidden));
    if (!opened.hidden) onOpen();
  });
  made.setAttribute('aria-expanded', 'false');
  return made;
}

const builtFrom = new WeakMap<HTMLElement, string>();

/** Replaces the children only if the data has changed, so that focus and selection stay. */
export function rebuild(element: HTMLElement, data: unknown, children: () => readonly Child[]): void {
  const text = JSON.stringify(data);
  if (builtFrom.get(element) === text) return;
  builtFrom.set(element, text);
  element.replaceChildren(...children());
}

/** A heading with a list, hidden where the list is empty. */
export class Listed {
  readonly list = make('ul');
  readonly root: HTMLElement;

  constructor(heading: string) {
    this.root = make('div', {}, make('h4', {}, heading), this.list);
  }

  show<Datum>(data: readonly Datum[], item: (datum: Datum) => Child): void {
    setShown(this.root, data.length > 0);
    rebuild(this.list, data, () => data.map(item));
  }
}

/** A text, and a figure at the end of its line. */
export function line(text: Child, figure: Child): HTMLElement {
  return make('div', { class: 'instant-audience-line' }, make('span', {}, text), make('span', {}, figure));
}

/** A section that a button opens and closes. */
export class Foldable {
  readonly root: HTMLElement;
  readonly name: HTMLElement;
  /** At the end of the head. */
  readonly note = make('span', { class: 'instant-audience-note' });
  readonly body: HTMLElement;
  private readonly head: HTMLButtonElement;
  private static count = 0;

  constructor(
    name: string,
    { more = [], level = 'h3' }: { more?: readonly Child[]; level?: 'h3' | 'h4' } = {},
    private readonly onOpen: () => void = () => undefined,
  ) {
    this.name = make('span', { class: 'instant-audience-name' }, name);
    const id = `instant-audience-part-${(Foldable.count += 1)}`;
    this.body = make('div', { class: 'instant-audience-body', id });
    this.body.hidden = true;
    this.head = make(
      'button',
      { type: 'button', class: 'instant-audience-head', 'aria-expanded': 'false', 'aria-controls': id },
      make('i', { class: 'fa fa-caret-right', 'aria-hidden': 'true' }),
      this.name,
      this.note,
      ...more,
    );
    this.head.addEventListener('click', () => this.open(!this.isOpen));
    this.root = make('section', {}, make(level, {}, this.head), this.body);
  }

  get isOpen(): boolean {
    return !this.body.hidden;
  }

  open(open: boolean): void {
    this.body.hidden = !open;
    this.head.setAttribute('aria-expanded', String(open));
    if (open) this.onOpen();
  }
}
