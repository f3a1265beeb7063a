// What a segment builder is made from.

/** One row of the builder's list. `...Type` says how the value before it is evaluated. */
export interface SegmentRow {
  by: 'id' | 'code';
  segment: string;
  segmentType: string;
  member: string;
  memberType: string;
  /** Empty leaves the value out. */
  value: string;
  valueType: string;
  expiration: string;
  expirationType: string;
  expirationUnit: ExpirationUnit;
}

/** `never` and `default` take no number: 0, and no expiration at all. */
export type ExpirationUnit = 'minutes' | 'hours' | 'days' | 'never' | 'default';

export interface BuilderConfig {
  /** One entry a message, or one for each element of the array in `items`. */
  source: 'message' | 'items';
  items: string;
  itemsType: string;
  userId: string;
  userIdType: string;
  /** Empty text (or null) is the platform's own and mapped ids. */
  domain: string;
  domainType: string;
  allowCustomDomain: boolean;
  action: 'add' | 'remove' | 'property';
  actionProperty: string;
  actionType: string;
  segments: SegmentRow[];
  /** Empty: when the out node takes it. */
  eventTime: string;
  eventTimeType: string;
}

/** The types of input that a builder evaluates. `item` is a field of the element, '' the element itself. */
export const inputTypes = ['msg', 'flow', 'global', 'str', 'num', 'env', 'jsonata', 'item'] as const;
/** Minutes in one unit of an expiration; the units without a number are not in it. */
export const minutesPerUnit: Readonly<Partial<Record<ExpirationUnit, number>>> = {
  minutes: 1,
  hours: 60,
  days: 1440,
};

/** Whether a typed input was left empty. */
export function isUnset(value: unknown, type: unknown): boolean {
  return value === undefined || value === null || (value === '' && type !== 'item');
}
