// A typed input whose property may stay empty. The form shows an empty one as a type without a value, such as *arrival time*.
import type { EditorWidgetTypedInputTypeDefinition } from 'node-red';
import { variableIn } from '../saved';
import type { InputTypes } from './choices';

const type = 'notSet';

interface Input {
  readonly value: string;
  readonly type: string;
}

/** @param label what an empty property means */
export function notSetType(label: string): EditorWidgetTypedInputTypeDefinition {
  return { value: type, label, hasValue: false };
}

/** An empty field of an item is the item itself. */
export function showInput(field: JQuery, saved: Input): void {
  const isEmpty = saved.value === '' && saved.type !== 'item' && variableIn(saved.type) === null;
  field.typedInput('type', isEmpty ? type : saved.type);
  field.typedInput('value', saved.value);
}

/** Whether the field shows an empty property. */
export function isNotSet(field: JQuery): boolean {
  return field.typedInput('type') === type;
}

/** @param emptyType the type with which an empty property is saved */
export function inputToSave(field: JQuery, emptyType: string): Input {
  const shown = field.typedInput('type');
  return shown === type ? { value: '', type: emptyType } : { value: field.typedInput('value'), type: shown };
}

/**
 * Makes the field of a property and the hidden one of its type a typed input. Its first type is for an empty one.
 * @param emptyType the type with which an empty property is saved
 */
export function optionalInput(property: string, types: InputTypes, emptyType = 'msg'): void {
  const field = $(`#node-input-${property}`);
  const typeField = $(`#node-input-${property}Type`);
  const saved = { value: String(field.val()), type: String(typeField.val()) };
  field.typedInput({ types });
  showInput(field, saved);
  field.on('change', () => void typeField.val(inputToSave(field, emptyType).type));
}
