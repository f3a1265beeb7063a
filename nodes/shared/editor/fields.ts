// Values of a form's fields. Our validators read the fields of an open form, and of other nodes the saved properties.
import type { EditorNode } from '../../types/red-editor';
import type { Saved } from '../saved';

/** More than one, where an account is edited on top of a node that uses it. */
const open = new Set<string>();

interface Identified {
  readonly id: string;
}

export function formOpened(node: Identified): void {
  open.add(node.id);
}

export function formClosed(node: Identified): void {
  open.delete(node.id);
}

/** By id: the editor hands out the same node in several wrappings. */
export function isFormOpen(node: Identified): boolean {
  return open.has(node.id);
}

/** The value of a field in the open form; for a box, whether it is ticked. */
export function fieldValue(field: JQuery): unknown {
  return valueOf(field[0]);
}

/** As jQuery has it, which takes ten times as long: each key in a form reads a thousand values. */
function valueOf(element: HTMLElement | null | undefined): unknown {
  if (element instanceof HTMLInputElement)
    return element.type === 'checkbox' ? element.checked : element.value;
  if (element instanceof HTMLTextAreaElement) return element.value;
  return element instanceof HTMLSelectElement && element.selectedIndex >= 0 ? element.value : undefined;
}

/** The node's properties as its open form has them, else as they are saved. */
export function currentValues(
  node: EditorNode<object>,
  names: readonly string[],
  prefix = 'node-input',
): Saved {
  const saved = node as unknown as Saved;
  if (!isFormOpen(node)) return saved;
  const current = (name: string): unknown => valueOf(document.getElementById(`${prefix}-${name}`));
  return Object.fromEntries(names.map((name) => [name, current(name) ?? saved[name]]));
}
