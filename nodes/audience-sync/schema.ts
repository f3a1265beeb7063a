// The audience sync's saved properties. Its rows are mapped as a segment builder maps the items of an array, so most of them
// are read by the builder's schema.
import * as z from 'zod/mini';
import { maxInt, type BuilderConfig } from '../../src/entry/index';
import { builderSchema, type BuilderSettings } from '../segment-builder/schema';
import {
  choice,
  field,
  flag,
  plainText,
  readSaved,
  Refused,
  text,
  variableUnset,
  whole,
  type Problem,
  type Reading,
  type Saved,
  type Schema,
} from '../shared/saved';
import { defaultVendor } from '../shared/consent';

const ownSchema = (saved: Saved) =>
  z.object({
    /** Empty: none is chosen, which the node says by itself. */
    account: text(''),
    expirationUnit: choice(['minutes', 'hours', 'days', 'never'], 'days'),
    mode: choice(['mirror', 'add'], 'mirror'),
    refresh: whole({ min: 0, max: 99 }, 25),
    maxRemovals: whole({ min: 0, max: plainText(saved.maxRemovalsUnit) === 'users' ? maxInt : 100 }, 20),
    maxRemovalsUnit: choice(['%', 'users'], '%'),
    emptyIsError: flag(true),
    preview: flag(false),
    runTimeoutMinutes: whole({ min: 1, max: 10_080 }, 60),
    withoutConsent: field<'skip' | 'remove'>('skip', (value) => {
      const text = plainText(value);
      // The rows do not name users of the mode "add" who are to leave.
      if (text === 'remove' && plainText(saved.mode) === 'add') return new Refused('remove_adds_only');
      return text === 'remove' ? 'remove' : 'skip';
    }),
  });

type OwnSettings = z.infer<ReturnType<typeof ownSchema>>;

export interface SyncSettings extends OwnSettings {
  /** How a row becomes an entry of the segment. */
  readonly mapping: BuilderConfig;
  /** Where the rows are. */
  readonly rows: string;
  readonly rowsType: string;
}

/** What a new node has, and one whose flow file leaves properties out. */
export const defaults = {
  account: '',
  segmentBy: 'id',
  segment: '',
  segmentMember: '',
  rows: 'payload',
  rowsType: 'msg',
  userId: 'id',
  userIdType: 'item',
  domain: '',
  domainType: 'str',
  value: '',
  valueType: 'num',
  expiration: '30',
  expirationType: 'num',
  expirationUnit: 'days',
  mode: 'mirror',
  refresh: 25,
  maxRemovals: 20,
  maxRemovalsUnit: '%',
  emptyIsError: true,
  preview: false,
  runTimeoutMinutes: 60,
  consent: '',
  consentType: 'msg',
  consentVendor: defaultVendor,
  consentPurposes: [] as number[],
  withoutConsent: 'skip',
} as const;

/** Every problem, by the names of this node's properties. */
export function readSync(saved: Saved): Reading<SyncSettings> {
  const whole = withDefaults(saved);
  const own = readSaved(ownSchema(whole) as Schema<OwnSettings>, whole);
  const asBuilder = builderOf(whole);
  const mapping = readSaved<BuilderSettings>(builderSchema(asBuilder), asBuilder);
  if (own.ok && mapping.ok) {
    const { items: rows, itemsType: rowsType } = mapping.settings;
    return { ok: true, settings: { ...own.settings, mapping: mapping.settings, rows, rowsType } };
  }
  const problems = [
    ...(mapping.ok ? [] : mapping.problems.map((problem) => ({ ...problem, path: nameOf(problem.path) }))),
    ...(own.ok ? [] : own.problems),
  ];
  // Both read the unit.
  const isFirst = ({ path, code }: Problem, index: number): boolean =>
    problems.findIndex((other) => other.path === path && other.code === code) === index;
  return { ok: false, problems: problems.filter(isFirst) };
}

/** The problems that the form can find. */
export function problemsOfSync(saved: Saved): readonly Problem[] {
  const reading = readSync(saved);
  return reading.ok ? [] : reading.problems.filter(({ code }) => code !== variableUnset);
}

function withDefaults(saved: Saved): Saved {
  const given = Object.entries(saved).filter(([, value]) => value !== undefined && value !== null);
  return { ...defaults, ...Object.fromEntries(given) };
}

/** The same as properties of a builder. */
function builderOf(saved: Saved): Saved {
  const byCode = plainText(saved.segmentBy) === 'code';
  return {
    source: 'items',
    items: saved.rows,
    itemsType: saved.rowsType,
    userId: saved.userId,
    userIdType: saved.userIdType,
    domain: saved.domain,
    domainType: saved.domainType,
    consent: saved.consent,
    consentType: saved.consentType,
    consentVendor: saved.consentVendor,
    consentPurposes: saved.consentPurposes,
    withoutConsent: saved.withoutConsent,
    segments: [
      {
        by: saved.segmentBy,
        segment: saved.segment,
        segmentType: byCode ? 'str' : 'num',
        member: saved.segmentMember,
        memberType: 'num',
        value: saved.value,
        valueType: saved.valueType,
        expiration: saved.expiration,
        expirationType: saved.expirationType,
        expirationUnit: saved.expirationUnit,
      },
    ],
  };
}

/** The name of the property here, by its path in a builder. */
function nameOf(path: string): string {
  const name = path.replace(/^segments\[0\]\./, '');
  return ofBuilder[name] ?? name;
}

const ofBuilder: Readonly<Record<string, string>> = {
  items: 'rows',
  itemsType: 'rowsType',
  by: 'segmentBy',
  member: 'segmentMember',
};
