// Values of a form's fields.
import type { EditorNode } from '../../types/red-editor';
import type { Saved } from '../saved';
import { isFormOpen } from './open-form';

/** The value of a field in the open form; for a box, whether it is ticked. */
export function fieldValue(field: JQuery): unknown {
  return field.is(':checkbox') ? field.prop('checked') : field.val();
}

/** The node's properties as its open form has them, else as they are saved. */
export function currentValues(
  node: EditorNode<object>,
  names: readonly string[],
  prefix = 'node-input',
): Saved {
  const saved = node as unknown as Saved;
  if (!isFormOpen(node)) return saved;
  return Object.fromEntries(names.map((name) => [name, fieldValue($(`#${prefix}-${name}`)) ?? saved[name]]));
}
