// What the form says about a property that cannot work, in the editor's language: by the schema that the runtime reads it by,
// and by the editor for paths and expressions.
import { readPurposes } from '../../shared/editor/consent';
import { currentValues, isFormOpen } from '../../shared/editor/fields';
import { problemText, variableIn, type Saved } from '../../shared/saved';
import type { EditorRed, Verdict } from '../../types/red-editor';
import { problemsOfSync } from '../schema';
import type { SyncEditorNode, SyncProperties } from './properties';

declare const RED: EditorRed;

/** true, or all problems of this property, given the others. */
export function verdictOn(node: SyncEditorNode, property: keyof SyncProperties, value: unknown): Verdict {
  const { defaults } = RED.nodes.getType('xandr-audience-sync');
  const purposes = isFormOpen(node) ? { consentPurposes: readPurposes() } : {};
  const values: Saved = { ...currentValues(node, Object.keys(defaults)), ...purposes, [property]: value };
  // The problem of a type is shown below its value.
  const wrong = problemsOfSync(values).filter(({ path }) => path.replace(/Type$/, '') === property);
  const sentences = wrong.map((problem) => problemText(node, 'invalid', problem));
  const all = sentences.length > 0 ? sentences : unreadable(node, property, values);
  return all.length === 0 ? true : all;
}

const typed: readonly string[] = ['rows', 'userId', 'domain', 'value', 'expiration', 'consent'];
/** The schema checks their values. */
const withoutPath: readonly unknown[] = ['str', 'num'];

function unreadable(node: SyncEditorNode, property: string, values: Saved): string[] {
  const value = values[property];
  const type = values[`${property}Type`];
  const isUnused = property === 'expiration' && values.expirationUnit === 'never';
  const isEmpty = value === '' || value === undefined || value === null;
  if (!typed.includes(property) || isUnused || isEmpty) return [];
  if (typeof type !== 'string' || withoutPath.includes(type)) return [];
  if (variableIn(value) !== null || variableIn(type) !== null) return [];
  const reason = RED.utils.validateTypedProperty(value, type === 'item' ? 'msg' : type, {});
  return reason === true ? [] : [node._('invalid.property', { field: node._(`label.${property}`), reason })];
}
