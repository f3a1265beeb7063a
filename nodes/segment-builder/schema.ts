// The segment builder's saved properties.
import * as z from 'zod/mini';
import {
  inputTypes,
  minutesPerUnit,
  type BuilderConfig,
  type SegmentRow,
  maxInt,
  minInt,
  readDomain,
  shorten,
} from '../../src/entry/index';
import { consentFields, usesConsent } from '../shared/consent';
import {
  choice,
  field,
  flag,
  onlyIf,
  plainText,
  readSaved,
  Refused,
  rows,
  text,
  variableIn,
  type Saved,
  type Schema,
} from '../shared/saved';

export interface BuilderSettings extends BuilderConfig {
  /** Of the segment search in the form; empty: none. */
  readonly account: string;
  readonly output: string;
  readonly outputType: 'msg';
}

/** Of a new node: the message names the segment. */
export const firstRow: SegmentRow = {
  by: 'id',
  segment: 'payload.segment',
  segmentType: 'msg',
  member: '',
  memberType: 'num',
  value: '',
  valueType: 'num',
  expiration: '30',
  expirationType: 'num',
  expirationUnit: 'default',
};

/** Whether a row's time is a number of these units. */
export function takesTime(unit: unknown): boolean {
  return unit !== 'never' && unit !== 'default';
}

const units = ['minutes', 'hours', 'days', 'never', 'default'] as const;
const types = choice(inputTypes, 'msg');
const constantTypes: readonly unknown[] = ['str', 'num'];

/** A field without effect, given the others, may hold anything. */
export function builderSchema(saved: Saved): Schema<BuilderSettings> {
  const items = plainText(saved.source) === 'items';
  const byEvent = plainText(saved.action) === 'property';
  const mayAdd = plainText(saved.action) !== 'remove';
  // A variable may still choose it.
  const hasItems = items || variableIn(saved.source) !== null;
  const own = (name: string, rule: Rule, typeName = `${name}Type`): Schema<string> =>
    input({ missingType: rule.missingType ?? 'msg', hasItems, ...rule }, saved[typeName]);
  return z.object({
    account: text(''),
    source: choice(['message', 'items'], 'message'),
    items: onlyIf(items, own('items', { missing: 'payload', hasItems: false }), ''),
    itemsType: onlyIf(items, types, 'msg'),
    userId: own('userId', { missing: 'payload.user' }),
    userIdType: types,
    domain: own('domain', {
      optional: true,
      missingType: 'str',
      constant: (domain) => checkDomain(domain, saved),
    }),
    domainType: choice(inputTypes, 'str'),
    allowCustomDomain: flag(false),
    action: choice(['add', 'remove', 'property'], 'add'),
    actionProperty: onlyIf(byEvent, own('actionProperty', {}, 'actionType'), ''),
    actionType: onlyIf(byEvent, types, 'msg'),
    segments: rows((each) => rowSchema(each, hasItems, !mayAdd), 'noSegments', [firstRow]),
    eventTime: own('eventTime', { optional: true }),
    eventTimeType: types,
    consent: onlyIf(mayAdd, own('consent', { optional: true }), ''),
    consentType: onlyIf(mayAdd, types, 'msg'),
    ...consentFields(mayAdd && usesConsent(saved)),
    output: own('output', { missing: 'payload' }),
    outputType: choice(['msg'], 'msg'),
  });
}

function rowSchema(saved: Saved, hasItems: boolean, removes: boolean): Schema<SegmentRow> {
  const byCode = plainText(saved.by) === 'code';
  const byId = (plainText(saved.by) ?? 'id') === 'id';
  const unit = plainText(saved.expirationUnit) ?? 'days';
  const isTimed = !removes && takesTime(unit);
  const own = (name: string, rule: Rule): Schema<string> =>
    input({ missingType: 'num', hasItems, ...rule }, saved[`${name}Type`]);
  const rowTypes = choice(inputTypes, 'num');
  return z.object({
    by: choice(['id', 'code'], 'id'),
    segment: own('segment', {
      empty: 'segment',
      missingType: byCode ? 'str' : 'num',
      constant: (id) => (byId ? wholeFrom(1, 'segmentId')(id) : null),
    }),
    segmentType: choice(inputTypes, byCode ? 'str' : 'num'),
    member: onlyIf(byCode, own('member', { empty: 'member', constant: wholeFrom(1, 'member') }), ''),
    memberType: onlyIf(byCode, rowTypes, 'num'),
    // The service also accepts negative values.
    value: onlyIf(!removes, own('value', { optional: true, constant: wholeFrom(minInt, 'value') }), ''),
    valueType: onlyIf(!removes, rowTypes, 'num'),
    expiration: onlyIf(
      isTimed,
      own('expiration', { missing: '30', empty: 'expiration', constant: (time) => checkTime(time, unit) }),
      '',
    ),
    expirationType: onlyIf(isTimed, rowTypes, 'num'),
    expirationUnit: onlyIf(!removes, choice(units, 'days'), 'default'),
  });
}

/** Options for reading a typed input. */
interface Rule {
  /** Default text for a missing property. */
  readonly missing?: string;
  readonly missingType?: string;
  readonly optional?: boolean;
  /** The code of an input that is empty. */
  readonly empty?: string;
  /** Whether there are items, which the type `item` needs. */
  readonly hasItems?: boolean;
  /** Checks what is written into the form; other types show what they give only with a message. */
  readonly constant?: (text: string) => Refused | null;
}

function input(rule: Rule, savedType: unknown): Schema<string> {
  const type = plainText(savedType) ?? rule.missingType;
  const read = (value: unknown): string | Refused => {
    if (typeof value !== 'string' && typeof value !== 'number')
      return new Refused('text', { got: shorten(value) });
    // Blanks of a text are part of it.
    const found = type === 'str' ? String(value) : String(value).trim();
    if (type === 'item') return rule.hasItems === true ? found : new Refused('item');
    if (found === '') return rule.optional === true ? '' : new Refused(rule.empty ?? 'required');
    return constantTypes.includes(type) ? (rule.constant?.(found) ?? found) : found;
  };
  return field<string>(read(rule.missing ?? ''), read);
}

/** A domain written into the form is the same for every message, so the form checks it. */
function checkDomain(domain: string, { allowCustomDomain }: Saved): Refused | null {
  const allowed = readSaved(flag(false), allowCustomDomain);
  const found = readDomain(domain, !allowed.ok || allowed.settings);
  if (typeof found === 'string' || found === null) return null;
  if (found.code === 'domain_retired') return new Refused('retired');
  return found.code === 'domain_case'
    ? new Refused('domainCase', { domain: shorten(domain), meant: found.params.meant! })
    : new Refused('domain', { domain: shorten(domain) });
}

function wholeFrom(min: number, code: string): (text: string) => Refused | null {
  return (written) =>
    /^-?\d+$/.test(written) && Number(written) >= min && Number(written) <= maxInt
      ? null
      : new Refused(code, { min, max: maxInt });
}

function checkTime(written: string, unit: string): Refused | null {
  const time = Number(written);
  if (written.trim() === '' || !Number.isFinite(time) || time < -1) return new Refused('expiration');
  const minutes = minutesOf(time, (minutesPerUnit as Record<string, number>)[unit] ?? 1);
  if (!Number.isInteger(minutes)) return new Refused('expirationMinutes');
  return minutes > maxInt ? new Refused('expirationLong') : null;
}

/** As the builder computes it: 1.5 hours are 90 minutes. */
function minutesOf(time: number, perUnit: number): number {
  const product = time * perUnit;
  const whole = Math.round(product);
  return Math.abs(product - whole) < 1e-6 ? whole : product;
}
