// From a builder's properties to an entry that is not checked yet: which input feeds which field, and how.
import { minutesPerUnit, type BuilderConfig, type SegmentRow } from './builder-config';
import { maxBlocks, maxInt, maxWordChars } from './check';
import type { SegBlock } from './entry';
import { readEventTime } from './event-time';
import { knownDomains } from './identifiers';
import { type Issue } from './issues';
import { shorten } from './shorten';
import { Failed, failedIssue, issueOf, type Input, type Inputs } from './typed-inputs';

/** Slots of the inputs by meaning. */
export interface Plan {
  readonly userId: number;
  readonly domain: number | null;
  readonly allowCustomDomain: boolean;
  readonly action: 'add' | 'remove' | { readonly slot: number };
  readonly eventTime: number | null;
  readonly rows: readonly RowPlan[];
}

interface RowPlan {
  readonly by: 'id' | 'code';
  readonly segment: number;
  readonly member: number | null;
  readonly value: number | null;
  readonly expiration: { readonly slot: number; readonly minutes: number } | 'never' | 'default';
}

export function compilePlan(config: BuilderConfig, inputs: Inputs): Plan {
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
    rows: config.segments.map((row, index) => compileRow(row, `segments[${index}].`, config, inputs)),
  };
}

function compileRow(row: SegmentRow, path: string, config: BuilderConfig, inputs: Inputs): RowPlan {
  const segment = inputs.add(`${path}segment`, row.segment, row.segmentType)!;
  const member = row.by === 'code' ? inputs.add(`${path}member`, row.member, row.memberType) : null;
  // A removal has neither value nor expiration of its own.
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

/** An entry before its check: each field is whatever its input gave. */
export interface Draft {
  user_id: unknown;
  domain?: unknown;
  seg_block: DraftBlock[];
  event_time?: unknown;
  custom_domain?: boolean;
}
type DraftBlock = Partial<Record<keyof SegBlock, unknown>>;

/** The entry that these values give. What gives nothing is in the reader's issues. */
export function draftOf(plan: Plan, reader: ValueReader): Draft {
  const domain = reader.domain(plan.domain);
  const removes = reader.removes(plan.action);
  const entry: Draft = {
    user_id: reader.raw(plan.userId, 'user_id'),
    ...(domain === null ? {} : { domain }),
    seg_block: plan.rows.flatMap((row) => reader.blocks(row, removes)),
  };
  const eventTime = reader.eventTime(plan.eventTime);
  if (eventTime !== null) entry.event_time = eventTime;
  if (plan.allowCustomDomain && typeof domain === 'string' && !knownDomains.includes(domain))
    entry.custom_domain = true;
  return entry;
}

/** Turns evaluated inputs into the fields of an entry, with an issue for what gives nothing. */
export class ValueReader {
  readonly issues: Issue[] = [];
  private readonly covered = new Set<string>();

  constructor(
    private readonly inputs: readonly Input[],
    private readonly values: readonly unknown[],
  ) {}

  /** Whether a check's issue only repeats what was said about the input of that field. */
  covers(issue: Issue): boolean {
    return (
      this.covered.has(issue.path) || (this.covered.has('seg_block') && issue.path.startsWith('seg_block'))
    );
  }

  /** The value of a slot; null when left empty, undefined (with an issue) when it gives nothing. */
  raw(slot: number | null, field: string): unknown {
    if (slot === null) return null;
    const value = this.values[slot];
    const input = this.inputs[slot]!;
    if (!(value instanceof Failed) && value !== undefined) return value;
    this.refuse(value === undefined ? issueOf('nothing_there', input, {}) : failedIssue(input, value), field);
    return undefined;
  }

  /** Null and '' are the platform's own and mapped ids, as null is on the wire. */
  domain(slot: number | null): unknown {
    const value = this.raw(slot, 'domain');
    return value === undefined || value === '' ? null : value;
  }

  /** Databases and MQTT give numbers as text. */
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
    const verdict = removesBy(value);
    if (verdict === null) {
      this.refuse(issueOf('action_unknown', this.inputs[action.slot]!, { got: shorten(value) }), 'seg_block');
    }
    return verdict === true;
  }

  /** The blocks of one row: one, or one for each segment when it evaluates to an array. */
  blocks(row: RowPlan, removes: boolean): DraftBlock[] {
    const segments = this.raw(row.segment, 'seg_block');
    const member = row.by === 'code' ? numberFromText(this.raw(row.member, 'seg_block')) : null;
    const value = removes ? null : numberFromText(this.raw(row.value, 'seg_block'));
    const expiration = removes ? -1 : this.expiration(row.expiration);
    const block = (segment: unknown): DraftBlock => {
      const draft: DraftBlock =
        row.by === 'id' ? { seg_id: numberFromText(segment) } : { seg_code: codeOf(segment) };
      if (member !== null) draft.member_id = member;
      if (value !== null) draft.value = value;
      if (expiration !== null) draft.expiration = expiration;
      return draft;
    };
    if (!Array.isArray(segments)) return [block(segments)];
    if (segments.length <= maxBlocks) return segments.map(block);
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
    this.issues.push(issue);
    this.covered.add(field);
  }
}

/** Whole minutes where the product is whole but for the error of binary fractions; -1 and 0 keep their meaning. */
function minutesOf(value: number, minutes: number): number {
  if (value === -1 || value === 0 || minutes === 1) return value;
  const product = value * minutes;
  const whole = Math.round(product);
  return Math.abs(product - whole) < 1e-6 && whole <= maxInt ? whole : product;
}

/**
 * Whether an action's value removes: `remove`, false and 0 do, `add`, true and other numbers do not; the texts
 * `true`, `false`, `1` and `0` are what they say. Null for everything else: an event that lacks the property, or
 * spells it differently, must neither add nor remove anybody.
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
