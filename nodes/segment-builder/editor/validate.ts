// What the form says about a property that cannot work, in the editor's language: by the schema that the runtime reads
// it by, and by the editor for paths and expressions.
import { problemsInForm, variableIn, type Problem, type Saved } from '../../shared/saved';
import type { EditorNode, EditorRed, Verdict } from '../../types/red-editor';
import { builderSchema, takesTime } from '../schema';
import { fieldName, problemSentence } from '../words';
import { readPurposes } from '../../shared/editor/consent';
import { currentValues } from '../../shared/editor/fields';
import type { BuilderProperties } from './properties';
import { readRows } from './rows';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;
export type Property = keyof BuilderProperties;

/** The schema checks their values. */
const withoutPath: readonly unknown[] = ['str', 'num'];

/** The properties as they stand in the open form, else as saved. */
export function builderValues(node: Builder): Saved {
  const values = currentValues(node, Object.keys(RED.nodes.getType('xandr-segment-builder').defaults));
  return values === (node as unknown)
    ? values
    : { ...values, segments: readRows(), consentPurposes: readPurposes() };
}

/** true, or all problems of this property, given the others. */
export function verdictOn(node: Builder, property: Property, value: unknown): Verdict {
  const values: Saved = { ...builderValues(node), [property]: value };
  const wrong = problemsInForm(builderSchema(values), values).filter(
    (problem) => propertyOf(problem) === property,
  );
  const sentences = wrong.map((problem) => problemSentence(node, problem));
  const all = sentences.length > 0 ? sentences : unreadable(node, property, values);
  return all.length === 0 ? true : all;
}

/** The problem of a type is shown below its value. */
function propertyOf({ path }: Problem): string {
  const root = /^\w+/.exec(path)?.[0] ?? '';
  return root === 'actionType' ? 'actionProperty' : root.replace(/Type$/, '');
}

function unreadable(node: Builder, property: Property, values: Saved): string[] {
  if (property === 'segments') {
    const rows = (values.segments as readonly Saved[] | undefined) ?? [];
    return rows.flatMap((row, index) =>
      usedInRow(row, values).flatMap((name) =>
        pathProblem(node, `segments[${index}].${name}`, row[name], row[`${name}Type`]),
      ),
    );
  }
  const isUnused =
    (property === 'items' && values.source !== 'items') ||
    (property === 'actionProperty' && values.action !== 'property') ||
    (property === 'consent' && values.action === 'remove');
  const type = values[property === 'actionProperty' ? 'actionType' : `${property}Type`];
  return isUnused ? [] : pathProblem(node, property, values[property], type);
}

function usedInRow({ by, expirationUnit: unit }: Saved, { action }: Saved): string[] {
  const time = action === 'remove' ? [] : ['value', ...(takesTime(unit) ? ['expiration'] : [])];
  return ['segment', ...(by === 'code' ? ['member'] : []), ...time];
}

function pathProblem(node: Builder, path: string, value: unknown, type: unknown): string[] {
  const isEmpty = value === '' || value === undefined || value === null;
  if (typeof type !== 'string' || isEmpty || withoutPath.includes(type)) return [];
  if (variableIn(value) !== null || variableIn(type) !== null) return [];
  const reason = RED.utils.validateTypedProperty(value, type === 'item' ? 'msg' : type, {});
  if (reason === true) return [];
  return [node._('segment-builder.validate.property', { field: fieldName(node, path), reason })];
}
