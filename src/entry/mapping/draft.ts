// Drafts an unchecked entry from the evaluated inputs of a segment builder.
import { consentInput, UnclearConsent, type ReadTcString } from './consent';
import { minutesPerUnit, type BuilderConfig, type ConsentConfig, type SegmentRow } from './builder-config';
import { checkEntry, maxBlocks, maxInt, maxWordChars } from '../check';
import type { SegBlock } from '../entry';
import { readEventTime } from '../event-time';
import { isUser, knownDomains } from '../keys';
import { type Issue } from '../issues';
import { shorten } from '../shorten';
import { Failed, failedIssue, issueOf, type Input, type Inputs } from './typed-inputs';

/** The slot (index in `Inputs`) of each field's input; null for an empty input. */
export interface Plan {
  readonly userId: number;
  readonly domain: number | null;
  readonly allowCustomDomain: boolean;
  readonly action: 'add' | 'remove' | { readonly slot: number };
  readonly eventTime: number | null;
  readonly consent: ConsentPlan | null;
  readonly rows: readonly RowPlan[];
}

/** A plan with the blocks that are the same for every message, which have passed the check. Null: each message has its own. */
export interface CheckedPlan extends Plan {
  readonly fixedBlocks: readonly DraftBlock[] | null;
}

interface ConsentPlan {
  readonly slot: number;
  readonly without: ConsentConfig['withoutConsent'];
}

interface RowPlan {
  readonly by: 'id' | 'code';
  readonly segment: number;
  readonly member: number | null;
  readonly value: number | null;
  readonly expiration: { readonly slot: number; readonly minutes: number } | 'never' | 'default';
}

export function compilePlan(config: BuilderConfig, inputs: Inputs, readTcString: ReadTcString): CheckedPlan {
  const plan = planOf(config, inputs, readTcString);
  return { ...plan, fixedBlocks: fixedBlocksOf(plan, inputs) };
}

function planOf(config: BuilderConfig, inputs: Inputs, readTcString: ReadTcString): Plan {
  const action =
    config.action === 'property'
      ? { slot: inputs.add('actionProperty', config.actionProperty, config.actionType)! }
      : config.action;
  return {
    userId: inputs.add('userId', config.userId, config.userIdType)!,
    domain: inputs.add('domain', config.domain, config.domainType),
    allowCustomDomain: config.allowCustomDomain,
    action,
    eventTime: inputs.add('eventTime', config.eventTime, config.eventTimeType),
    consent: compileConsent(config, inputs, readTcString),
    rows: config.segments.map((row, index) => compileRow(row, `segments[${index}].`, config, inputs)),
  };
}

/** A removal needs none. */
function compileConsent(
  { action, consent, consentType, withoutConsent }: BuilderConfig,
  inputs: Inputs,
  readTcString: ReadTcString,
): ConsentPlan | null {
  if (action === 'remove') return null;
  const slot = inputs.add('consent', consent, consentType, (get) => consentInput(get, readTcString));
  return slot === null ? null : { slot, without: withoutConsent };
}

function compileRow(row: SegmentRow, path: string, config: BuilderConfig, inputs: Inputs): RowPlan {
  const segment = inputs.add(`${path}segment`, row.segment, row.segmentType)!;
  const member = row.by === 'code' ? inputs.add(`${path}member`, row.member, row.memberType) : null;
  // A removal ignores value and expiration of the row.
  if (config.action === 'remove') return { by: row.by, segment, member, value: null, expiration: 'default' };
  const value = inputs.add(`${path}value`, row.value, row.valueType);
  return { by: row.by, segment, member, value, expiration: compileExpiration(row, path, inputs) };
}

function compileExpiration(row: SegmentRow, path: string, inputs: Inputs): RowPlan['expiration'] {
  const { expirationUnit: unit } = row;
  if (unit === 'never' || unit === 'default') return unit;
  return {
    slot: inputs.add(`${path}expiration`, row.expiration, row.expirationType)!,
    minutes: minutesPerUnit[unit]!,
  };
}

function fixedBlocksOf(plan: Plan, { constants, list, variable }: Inputs): readonly DraftBlock[] | null {
  const { action, rows } = plan;
  if (typeof action !== 'string' || rows.some((row) => slotsOf(row).some((slot) => variable.includes(slot))))
    return null;
  const reader = new ValueReader(list, constants);
  const seg_block = blocksOf(plan, reader, action === 'remove');
  // Any user will do.
  if (!checkEntry({ user_id: '1', seg_block }).ok || reader.issues !== null) return null;
  // Objects that are parsed, and their copies, take a third less memory than those that grew.
  return JSON.parse(JSON.stringify(seg_block)) as DraftBlock[];
}

function slotsOf({ segment, member, value, expiration }: RowPlan): number[] {
  const slots = [segment, member, value, typeof expiration === 'string' ? null : expiration.slot];
  return slots.filter((slot) => slot !== null);
}

/** An entry before its check, whose fields have the unchecked values of their inputs. */
export interface Draft {
  user_id: unknown;
  domain?: unknown;
  seg_block: DraftBlock[];
  event_time?: unknown;
  custom_domain?: boolean;
}
type DraftBlock = Partial<Record<keyof SegBlock, unknown>>;

/** Drafts the entry. For inputs without a value, the reader has issues afterwards. */
export function draftOf(plan: CheckedPlan, reader: ValueReader): Draft {
  const domain = reader.domain(plan.domain);
  const wanted = reader.removes(plan.action);
  const consent = wanted || reader.consent(plan.consent);
  const removes = wanted || (consent === false && plan.consent?.without === 'remove');
  const userId = reader.raw(plan.userId, 'user_id');
  const { fixedBlocks } = plan;
  // A copy, since later nodes may change it.
  const all =
    fixedBlocks === null || removes !== wanted
      ? blocksOf(plan, reader, removes)
      : fixedBlocks.map((block) => ({ ...block }));
  const blocks = removes || consent === true ? all : reader.withConsent(all, consent);
  const entry: Draft =
    domain === null ? { user_id: userId, seg_block: blocks } : { user_id: userId, domain, seg_block: blocks };
  const eventTime = reader.eventTime(plan.eventTime);
  if (eventTime !== null) entry.event_time = eventTime;
  if (plan.allowCustomDomain && typeof domain === 'string' && !knownDomains.includes(domain))
    entry.custom_domain = true;
  return entry;
}

/** Whether a draft with fixed blocks passes the check. False says nothing about one with blocks of its own. */
export function isRight({ fixedBlocks }: CheckedPlan, draft: Draft): boolean {
  if (fixedBlocks === null) return false;
  const time = readEventTime(draft.event_time);
  const isTime = time === null || typeof time === 'number';
  return isTime && isUser(draft.user_id, draft.domain, draft.custom_domain === true);
}

function blocksOf({ rows }: Plan, reader: ValueReader, removes: boolean): DraftBlock[] {
  return rows.length === 1
    ? reader.blocks(rows[0]!, removes)
    : rows.flatMap((row) => reader.blocks(row, removes));
}

/** Turns evaluated inputs into the fields of an entry, and collects an issue for each input without a value. */
export class ValueReader {
  /** Null while there are none, as for most messages; likewise their fields. */
  issues: Issue[] | null = null;
  private covered: Set<string> | null = null;
  /** Nothing is left of the entry, because the user has not consented. */
  lacksConsent = false;

  constructor(
    private readonly inputs: readonly Input[],
    private readonly values: readonly unknown[],
  ) {}

  /** Whether an issue of the check concerns a field whose input already has an issue. */
  covers(issue: Issue): boolean {
    const { covered } = this;
    if (covered === null) return false;
    return covered.has(issue.path) || (covered.has('seg_block') && issue.path.startsWith('seg_block'));
  }

  /** The value of a slot; null for an empty input, undefined, with an issue, for an input without a value. */
  raw(slot: number | null, field: string): unknown {
    if (slot === null) return null;
    const value = this.values[slot];
    const input = this.inputs[slot]!;
    if (!(value instanceof Failed) && value !== undefined) return value;
    this.refuse(value === undefined ? issueOf('nothing_there', input, {}) : failedIssue(input, value), field);
    return undefined;
  }

  /** The domain; null, like '', for the platform's own and mapped ids. */
  domain(slot: number | null): unknown {
    const value = this.raw(slot, 'domain');
    return value === undefined || value === '' ? null : value;
  }

  /**
   * Epoch ms if readable, else the value itself, for the check to refuse. Databases and MQTT supply numbers as text.
   */
  eventTime(slot: number | null): unknown {
    const value = this.raw(slot, 'event_time');
    if (value === null || value === undefined || value === '') return null;
    const ms = readEventTime(numberFromText(value));
    return typeof ms === 'number' ? ms : value;
  }

  removes(action: Plan['action']): boolean {
    if (typeof action === 'string') return action === 'remove';
    const value = this.raw(action.slot, 'seg_block');
    if (value === undefined) return false;
    const removes = removesBy(value);
    if (removes === null) {
      this.refuse(issueOf('action_unknown', this.inputs[action.slot]!, { got: shorten(value) }), 'seg_block');
    }
    return removes === true;
  }

  /** Whether the user has consented; an issue where the value does not say. */
  consent(plan: ConsentPlan | null): boolean | Issue {
    if (plan === null) return true;
    const value = this.values[plan.slot];
    const input = this.inputs[plan.slot]!;
    if (value instanceof Failed) return failedIssue(input, value);
    return value instanceof UnclearConsent ? issueOf(value.code, input, value.params) : value === true;
  }

  /** Without consent only removals, which need none. */
  withConsent(blocks: DraftBlock[], consent: false | Issue): DraftBlock[] {
    const removals = blocks.filter(({ expiration }) => expiration === -1);
    if (removals.length === blocks.length) return blocks;
    if (consent !== false) {
      this.refuse(consent, 'consent');
      return blocks;
    }
    this.lacksConsent = removals.length === 0;
    return removals;
  }

  /** The blocks of one row: one for each segment if the input is an array. */
  blocks(row: RowPlan, removes: boolean): DraftBlock[] {
    const segments = this.raw(row.segment, 'seg_block');
    const member = row.by === 'code' ? numberFromText(this.raw(row.member, 'seg_block')) : null;
    const value = removes ? null : numberFromText(this.raw(row.value, 'seg_block'));
    const expiration = removes ? -1 : this.expiration(row.expiration);
    const rest = { member, value, expiration };
    if (!Array.isArray(segments)) return [blockOf(row, segments, rest)];
    if (segments.length <= maxBlocks) return segments.map((segment) => blockOf(row, segment, rest));
    const params = { got: segments.length, max: maxBlocks };
    this.refuse({ code: 'seg_block_too_long', path: 'seg_block', params }, 'seg_block');
    return [];
  }

  private expiration(plan: RowPlan['expiration']): unknown {
    if (plan === 'never') return 0;
    if (plan === 'default') return null;
    const value = numberFromText(this.raw(plan.slot, 'seg_block'));
    return typeof value === 'number' ? minutesOf(value, plan.minutes) : value;
  }

  private refuse(issue: Issue, field: string): void {
    this.covered ??= new Set();
    this.covered.add(field);
    this.issues ??= [];
    // One cause, so one issue, however many inputs are inside.
    if (issue.code === 'payload_is_text' && this.issues.some(({ code }) => code === issue.code)) return;
    this.issues.push(issue);
  }
}

/** A block of a row. A field of `rest` without a value is null. */
function blockOf(
  { by }: RowPlan,
  segment: unknown,
  { member, value, expiration }: Readonly<Record<'member' | 'value' | 'expiration', unknown>>,
): DraftBlock {
  const draft: DraftBlock = by === 'id' ? { seg_id: numberFromText(segment) } : { seg_code: codeOf(segment) };
  if (member !== null) draft.member_id = member;
  if (value !== null) draft.value = value;
  if (expiration !== null) draft.expiration = expiration;
  return draft;
}

/** Converts to minutes and removes rounding errors of binary fractions. -1 and 0 keep their meaning. */
function minutesOf(value: number, minutes: number): number {
  if (value === -1 || value === 0 || minutes === 1) return value;
  const product = value * minutes;
  const whole = Math.round(product);
  return Math.abs(product - whole) < 1e-6 && whole <= maxInt ? whole : product;
}

/**
 * Whether the value of an action removes the user: `remove`, false and 0 do; `add`, true and other numbers do not. The
 * texts `true`, `false`, `1` and `0` count like their values. Null for any other value: an event without the property,
 * or with another spelling, must neither add nor remove a user.
 */
function removesBy(value: unknown): boolean | null {
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return Number.isNaN(value) ? null : value === 0;
  if (typeof value !== 'string' || value.length > maxWordChars) return null;
  const text = value.trim().toLowerCase();
  if (text === 'remove' || text === 'false' || text === '0') return true;
  return text === 'add' || text === 'true' || text === '1' ? false : null;
}

function numberFromText(value: unknown): unknown {
  if (typeof value !== 'string' || value.length > maxWordChars) return value;
  return /^\s*-?\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value;
}

function codeOf(segment: unknown): unknown {
  return typeof segment === 'number' && Number.isSafeInteger(segment) ? String(segment) : segment;
}
