// The builder as its open form describes it, saved or not.
import type { BuilderConfig } from '../../../src/audience/builder-config';
import type { BuilderProperties } from './properties';
import { readRows } from './rows';

/** A property's value as it stands in its field. */
export function fieldValue(property: keyof BuilderProperties): unknown {
  const field = $(`#node-input-${property}`);
  return field.is(':checkbox') ? field.prop('checked') : field.val();
}

/** Everything that decides what the node builds. Values that the form would not save stay visible to the checks. */
export function readForm(): BuilderConfig {
  const text = (property: keyof BuilderProperties): string => {
    const value = fieldValue(property);
    return typeof value === 'string' ? value : '';
  };
  return {
    source: text('source') as BuilderConfig['source'],
    items: text('items'),
    itemsType: text('itemsType'),
    userId: text('userId'),
    userIdType: text('userIdType'),
    domain: text('domain'),
    domainType: text('domainType'),
    allowCustomDomain: fieldValue('allowCustomDomain') === true,
    action: text('action') as BuilderConfig['action'],
    actionProperty: text('actionProperty'),
    actionType: text('actionType'),
    segments: readRows(),
    eventTime: text('eventTime'),
    eventTimeType: text('eventTimeType'),
  };
}
