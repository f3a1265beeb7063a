// Values of the open builder form, saved or not.
import { currentValues } from '../../shared/editor/fields';
import type { Saved } from '../../shared/saved';
import type { EditorNode } from '../../types/red-editor';
import type { BuilderProperties } from './properties';
import { readRows } from './rows';

const fields: readonly (keyof BuilderProperties)[] = [
  'account',
  'source',
  'items',
  'itemsType',
  'userId',
  'userIdType',
  'domain',
  'domainType',
  'allowCustomDomain',
  'action',
  'actionProperty',
  'actionType',
  'eventTime',
  'eventTimeType',
  'output',
  'outputType',
];

/** The properties as they stand in the open form, else as saved. */
export function builderValues(node: EditorNode<BuilderProperties>): Saved {
  const values = currentValues(node, fields);
  return values === (node as unknown) ? values : { ...values, segments: readRows() };
}
