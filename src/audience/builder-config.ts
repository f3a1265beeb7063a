// A segment builder's saved properties, and what can be wrong with them: they come from files as well as the form.
import { readDomain } from './identifiers';
import { type Issue, type IssueCode } from './issues';
import { shorten } from './shorten';

/** One row of the builder's list (design section 3). `...Type` says how the value before it is evaluated. */
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
export const inputTypes: readonly string[] = [
  'msg',
  'flow',
  'global',
  'str',
  'num',
  'env',
  'jsonata',
  'item',
];
/** Minutes in one unit of an expiration; the units without a number are not in it. */
export const minutesPerUnit: Readonly<Partial<Record<ExpirationUnit, number>>> = {
  minutes: 1,
  hours: 60,
  days: 1440,
};

const units: readonly string[] = ['minutes', 'hours', 'days', 'never', 'default'];

/** Everything that is wrong with saved properties; an empty list means that they are a `BuilderConfig`. */
export function checkBuilderConfig(config: unknown): Issue[] {
  const checks = new ConfigChecks();
  if (!isRecord(config)) {
    checks.add('config_not_object', 'config', { got: shorten(config) });
    return checks.issues;
  }
  const items = config.source === 'items';
  checks.choice(config, 'source', ['message', 'items']);
  if (items) checks.input(config, 'items', { types: inputTypes.filter((type) => type !== 'item') });
  const types = items ? inputTypes : inputTypes.filter((type) => type !== 'item');
  checks.input(config, 'userId', { types });
  checks.input(config, 'domain', { types, optional: true });
  checks.flag(config, 'allowCustomDomain');
  checks.choice(config, 'action', ['add', 'remove', 'property']);
  if (config.action === 'property') checks.input(config, 'actionProperty', { types, typeKey: 'actionType' });
  checks.input(config, 'eventTime', { types, optional: true });
  checkConstantDomain(config, checks);
  checkRows(config, types, checks);
  return checks.issues;
}

/** A domain written into the form is the same for every message, so it is told at once. */
function checkConstantDomain(config: Record<string, unknown>, checks: ConfigChecks): void {
  if (config.domainType !== 'str' || config.domain === '') return;
  const domain = readDomain(config.domain, config.allowCustomDomain === true);
  if (typeof domain === 'object' && domain !== null) checks.add(domain.code, 'domain', domain.params);
}

function checkRows(config: Record<string, unknown>, types: readonly string[], checks: ConfigChecks): void {
  const rows = config.segments;
  if (!Array.isArray(rows)) {
    checks.add('config_not_list', 'segments', { got: shorten(rows) });
    return;
  }
  if (rows.length === 0) checks.add('config_no_segments', 'segments');
  rows.forEach((row: unknown, index) => {
    const path = `segments[${index}]`;
    if (isRecord(row)) checkRow(row, `${path}.`, types, config.action === 'remove', checks);
    else checks.add('config_not_object', path, { got: shorten(row) });
  });
}

function checkRow(
  row: Record<string, unknown>,
  path: string,
  types: readonly string[],
  removes: boolean,
  checks: ConfigChecks,
): void {
  checks.choice(row, 'by', ['id', 'code'], path);
  checks.input(row, 'segment', { types, path });
  if (row.by === 'id') checks.whole(row, 'segment', 1, path);
  if (row.by === 'code') {
    checks.input(row, 'member', { types, path });
    checks.whole(row, 'member', 1, path);
  }
  if (removes) return;
  checks.input(row, 'value', { types, path, optional: true });
  checks.whole(row, 'value', 0, path);
  checks.choice(row, 'expirationUnit', units, path);
  if (takesNumber(row.expirationUnit)) {
    checks.input(row, 'expiration', { types, path });
    checks.number(row, 'expiration', path);
  }
}

function takesNumber(unit: unknown): boolean {
  return unit === 'minutes' || unit === 'hours' || unit === 'days';
}

interface InputRule {
  readonly types: readonly string[];
  readonly optional?: boolean;
  readonly typeKey?: string;
  readonly path?: string;
}

class ConfigChecks {
  readonly issues: Issue[] = [];

  add(code: IssueCode, path: string, params: Issue['params'] = {}): void {
    this.issues.push({ code, path, params });
  }

  choice(record: Record<string, unknown>, key: string, known: readonly string[], path = ''): void {
    const value = record[key];
    if (typeof value === 'string' && known.includes(value)) return;
    this.add('config_choice', path + key, { got: shorten(value), known: known.join(', ') });
  }

  flag(record: Record<string, unknown>, key: string): void {
    const value = record[key];
    if (value !== undefined && typeof value !== 'boolean') {
      this.add('config_not_flag', key, { got: shorten(value) });
    }
  }

  /** A typed input: a text and a known type. Empty means something only for `item` (the element itself). */
  input(record: Record<string, unknown>, key: string, rule: InputRule): void {
    const path = (rule.path ?? '') + key;
    const value = record[key];
    const type = record[rule.typeKey ?? `${key}Type`];
    if (isUnset(value, type)) {
      if (rule.optional !== true) this.add('config_empty', path);
      return;
    }
    if (typeof value !== 'string' && typeof value !== 'number') {
      this.add('config_not_text', path, { got: shorten(value) });
      return;
    }
    if (type === 'item' && !rule.types.includes('item')) this.add('config_item', path);
    else if (typeof type !== 'string' || !rule.types.includes(type)) {
      this.add('config_choice', path, { got: shorten(type), known: rule.types.join(', ') });
    }
  }

  /** A number written into the form; other types show what they give only with a message. */
  number(record: Record<string, unknown>, key: string, path: string): void {
    const text = constantOf(record, key);
    if (text === null || (text.trim() !== '' && Number(text) >= -1 && Number.isFinite(Number(text)))) return;
    this.add('number_type', path + key, { got: shorten(text) });
  }

  whole(record: Record<string, unknown>, key: string, min: number, path: string): void {
    const text = constantOf(record, key);
    if (text === null || (/^\d+$/.test(text) && Number(text) >= min && Number.isSafeInteger(Number(text))))
      return;
    this.add('number_type', path + key, { got: shorten(text) });
  }
}

/** Whether a typed input was left empty. */
export function isUnset(value: unknown, type: unknown): boolean {
  return value === undefined || value === null || (value === '' && type !== 'item');
}

function constantOf(record: Record<string, unknown>, key: string): string | null {
  const value = record[key];
  const type = record[`${key}Type`];
  const constant = (type === 'str' || type === 'num') && !isUnset(value, type);
  return constant && (typeof value === 'string' || typeof value === 'number') ? String(value) : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
