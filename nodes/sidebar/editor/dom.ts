// Helpers to build and change elements; they leave unchanged elements alone.
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

/** Lines with a figure at their end, below a heading; rebuilt only on change, hidden where there are none. */
export class Lines {
  readonly root = make('div');
  private readonly list = make('ul');
  private told = '';

  constructor(heading?: string) {
    if (heading !== undefined) this.root.append(make('h4', {}, heading));
    this.root.append(this.list);
  }

  show(lines: readonly (readonly [text: string, figure: string])[]): void {
    setShown(this.root, lines.length > 0);
    const told = JSON.stringify(lines);
    if (told === this.told) return;
    this.told = told;
    const texts = lines.map(([text, figure]) => [
      make('span', {}, ...wrapped(text)),
      make('span', {}, figure),
    ]);
    this.list.replaceChildren(
      ...texts.map((spans) => make('li', { class: 'instant-audience-line' }, ...spans)),
    );
  }
}

/** A section that a button opens and closes. */
export class Foldable {
  readonly root = make('section');
  readonly name: HTMLElement;
  readonly sum = make('span', { class: 'instant-audience-sum' });
  readonly body: HTMLElement;
  readonly head: HTMLButtonElement;
  private static count = 0;

  constructor(
    name: string,
    more: readonly Child[] = [],
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
      this.sum,
      ...more,
    );
    this.head.addEventListener('click', () => this.open(!this.isOpen));
    this.root.append(make('h3', {}, this.head), this.body);
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
