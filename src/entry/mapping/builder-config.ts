// Configuration of a segment builder, as saved in flows.

/** One row of the builder's list. `...Type` is the type of the typed input before it. */
export interface SegmentRow {
  by: 'id' | 'code';
  segment: string;
  segmentType: string;
  member: string;
  memberType: string;
  /** Empty: blocks have no value. */
  value: string;
  valueType: string;
  expiration: string;
  expirationType: string;
  expirationUnit: ExpirationUnit;
}

/** `never` (expiration 0) and `default` (no expiration) have no number. */
export type ExpirationUnit = 'minutes' | 'hours' | 'days' | 'never' | 'default';

/** How consent is read, as builder and sync node save it. */
export interface ConsentConfig {
  /** Empty: consent is not checked. */
  consent: string;
  consentType: string;
  /** ID in IAB Europe's Global Vendor List; of TC strings only, as the purposes are. */
  consentVendor: number;
  /** From 1 to 11. */
  consentPurposes: number[];
  /** What becomes of an add without consent: no entry, or a removal. */
  withoutConsent: 'skip' | 'remove';
}

export interface BuilderConfig extends ConsentConfig {
  /** One entry for each message, or for each element of the array in `items`. */
  source: 'message' | 'items';
  items: string;
  itemsType: string;
  userId: string;
  userIdType: string;
  /** Empty text or null: the platform's own and mapped ids. */
  domain: string;
  domainType: string;
  allowCustomDomain: boolean;
  action: 'add' | 'remove' | 'property';
  actionProperty: string;
  actionType: string;
  segments: SegmentRow[];
  /** Empty: the time at which the out node accepts the entry. */
  eventTime: string;
  eventTimeType: string;
}

/** The types of a builder's typed inputs. `item` is a field of the element, or with '' the element itself. */
export const inputTypes = ['msg', 'flow', 'global', 'str', 'num', 'env', 'jsonata', 'item'] as const;
/** Minutes in one unit of an expiration, for the units with a number. */
export const minutesPerUnit: Readonly<Partial<Record<ExpirationUnit, number>>> = {
  minutes: 1,
  hours: 60,
  days: 1440,
};

/** Whether a typed input is empty. */
export function isUnset(value: unknown, type: unknown): boolean {
  return value === undefined || value === null || (value === '' && type !== 'item');
}
