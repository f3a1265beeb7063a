// Value types of the form; `item` is a field of an array element and exists only with arrays.
import type { EditorWidgetTypedInputType, EditorWidgetTypedInputTypeDefinition } from 'node-red';
import { completeTypedInput } from '../../shared/editor/accessible';
import { withVariable, type InputTypes } from '../../shared/editor/choices';
import type { EditorNode } from '../../types/red-editor';
import type { BuilderProperties } from './properties';

/** Types in the order in which the form offers them; `constants` come first. */
export function typesFor(
  node: EditorNode<BuilderProperties>,
  items: boolean,
  constants: InputTypes = [],
): InputTypes {
  const item: EditorWidgetTypedInputTypeDefinition = {
    value: 'item',
    label: node._('segment-builder.label.item'),
    hasValue: true,
  };
  const sources: EditorWidgetTypedInputType[] = ['msg', 'flow', 'global', 'jsonata', 'env'];
  return [...constants, ...(items ? [item] : []), ...sources];
}

const payload = 'payload.';

/**
 * Offers the types that fit the source, which has just changed to or from items: a property of the payload becomes the
 * same field of the item, or the other way round, since `payload` is then the array.
 */
export function offerTypes(
  node: EditorNode<BuilderProperties>,
  field: JQuery,
  items: boolean,
  constants: InputTypes = [],
): void {
  const type = field.typedInput('type');
  const value = field.typedInput('value');
  field.typedInput('types', withVariable(typesFor(node, items, constants), type));
  if (items && type === 'msg' && value.startsWith(payload))
    setInput(field, 'item', value.slice(payload.length));
  else if (!items && type === 'item') setInput(field, 'msg', value === '' ? 'payload' : payload + value);
}

export function setInput(field: JQuery, type: string, value: string): void {
  field.typedInput('type', type);
  field.typedInput('value', value);
}

/** Gives a typed input the name of its field. */
export function nameInput(node: EditorNode<BuilderProperties>, field: JQuery, label: string): void {
  const name = node._(`segment-builder.label.${label}`);
  completeTypedInput(field, name, node._('segment-builder.label.typeOf', { field: name }));
}
