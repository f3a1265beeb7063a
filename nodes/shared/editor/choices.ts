// Fields with `${NAME}` or another value outside their list: they show it, and opening the form keeps it.
import type { EditorWidgetTypedInputType, EditorWidgetTypedInputTypeDefinition } from 'node-red';
import type { EditorNode } from '../../types/red-editor';
import { variableIn } from '../saved';

export type InputTypes = (EditorWidgetTypedInputType | EditorWidgetTypedInputTypeDefinition)[];

/** A list offers the saved value too, and has it chosen. */
export function keepSelectable(list: JQuery, saved: unknown): void {
  const text = typeof saved === 'string' || typeof saved === 'number' ? String(saved) : '';
  const known = list
    .find('option')
    .toArray()
    .some((option) => option.value === text);
  if (text !== '' && !known) list.append($('<option>').val(text).text(text)).val(text);
}

/**
 * The list of accounts or of other configuration nodes: a variable names one. The editor fills the list before the
 * form is prepared, and selects none for an unknown value.
 */
export function keepVariable(list: JQuery, saved: unknown): void {
  if (variableIn(saved) !== null) keepSelectable(list, saved);
}

/** A box can only be ticked or not; for a text, a list of true, false and the text replaces it. */
export function keepBox(box: JQuery, saved: unknown): void {
  if (typeof saved !== 'string' && typeof saved !== 'number') return;
  const list = $('<select>');
  for (const { name, value } of box.get(0)!.attributes) if (name !== 'type') list.attr(name, value);
  list.append(['true', 'false'].map((text) => $('<option>').val(text).text(text)));
  box.replaceWith(list);
  keepSelectable(list, typeof saved === 'string' ? saved.trim() : saved);
  list.val(String(saved).trim());
}

/** The types that a typed input offers, and the saved one where that is a variable. */
export function withVariable(types: InputTypes, saved: unknown): InputTypes {
  return typeof saved === 'string' && variableIn(saved) !== null
    ? [...types, { value: saved, label: saved, hasValue: true }]
    : types;
}

/** Below a list, what the chosen value means; `otherwise` is the word for a value that has none. */
export function showHint(
  node: EditorNode<object>,
  list: JQuery,
  hint: JQuery,
  words: Readonly<Record<string, string>>,
  otherwise: string,
): void {
  const show = (): void => void hint.text(node._(words[String(list.val())] ?? otherwise));
  list.on('change', show);
  show();
}
