// Accessibility of the editor's widgets: names for typed inputs, buttons that keyboards reach.
import type { EditorNode, EditorRed } from '../../types/red-editor';
import { withVariable, type InputTypes } from './choices';
import { notSetType, optionalInput } from './not-set';

declare const RED: EditorRed;

/**
 * Adds the missing accessibility to a typed input. The widget puts its own fields in front of the labelled one, so
 * that neither a click on the label nor a screen reader finds them. It also updates its value on key events only, so
 * it misses text that is pasted with the mouse, dropped or dictated.
 *
 * @param typeName the name of the button that chooses the type
 */
export function completeTypedInput(field: JQuery, name: string, typeName: string): void {
  const container = field.next('.red-ui-typedInput-container');
  const input = container.find('.red-ui-typedInput-input');
  input.attr('aria-label', name);
  const described = field.attr('aria-describedby');
  if (described !== undefined) input.attr('aria-describedby', described);
  const description = field.attr('aria-description');
  if (description !== undefined) input.attr('aria-description', description);
  input.on('input', () => void input.trigger('keyup'));
  container.find('.red-ui-typedInput-type-select').attr('aria-label', typeName);
  const id = field.attr('id');
  if (id !== undefined) $(`label[for="${id}"]`).on('click', () => void input.trigger('focus'));
}

/**
 * Makes the field of a property a typed input; the property with its type has the same name and `Type`.
 *
 * @param empty what an empty property means, if it may be empty
 */
export function typedInput(
  node: EditorNode<object>,
  property: string,
  types: InputTypes,
  empty?: string,
): void {
  const field = $(`#node-input-${property}`);
  const typeField = `${property}Type`;
  const saved = (node as unknown as Readonly<Record<string, unknown>>)[typeField];
  const offered = withVariable(types, saved);
  if (empty === undefined)
    field.typedInput({ default: 'msg', types: offered, typeField: `#node-input-${typeField}` });
  else optionalInput(property, [notSetType(empty), ...offered]);
  const label = node._(`label.${property}`);
  completeTypedInput(field, label, node._('label.typeOf', { field: label }));
}

/**
 * Connects each field to its labels by id. The editor replaces the name of an invalid field by its problem, so that a
 * screen reader no longer says which field it is; it leaves connected fields alone.
 */
export function keepNames(form: JQuery): void {
  form.find('label[for]').each((_index, label) => {
    const field = $(`#${label.getAttribute('for') ?? ''}:not([type=hidden])`);
    if (field.length === 0) return;
    if (label.id === '') label.id = `${field.attr('id') ?? ''}-label-${form.find('label').index(label)}`;
    const names = [field.attr('aria-labelledby') ?? '', label.id].filter((id) => id !== '');
    field.attr('aria-labelledby', names.join(' '));
  });
}

/** The hint of a row describes its field. */
export function describeByHints(form: JQuery): void {
  form.find('.form-row > .instant-audience-hint').each((_index, hint) => {
    const field = $(hint).siblings('input, select, textarea').first();
    hint.id ||= `${field.attr('id') ?? ''}-hint`;
    field.attr('aria-describedby', hint.id);
  });
}

/**
 * The two buttons beside a list of configuration nodes are links without an address and without a text, which no
 * keyboard reaches and no screen reader can name.
 */
export function reachConfigButtons(list: JQuery, type: string): void {
  const buttons = list.parent().find('a.red-ui-button');
  buttons.attr({ tabindex: '0', role: 'button' }).on('keydown', function (event) {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    $(this).trigger('click');
  });
  buttons.filter('[id$="-edit"]').attr('aria-label', RED._('editor:editor.editConfig', { type }));
  buttons.filter('[id$="-add"]').attr('aria-label', RED._('editor:editor.addNewConfig', { type }));
}
