// What the form says about a property that cannot work, in the editor's language.
//
// The friendlier sentences come first; whatever else the runtime would refuse is told in its own words, so that the
// form never accepts what the node then stumbles over.
import { checkBuilderConfig, minutesPerUnit, type SegmentRow } from '../../../src/audience/builder-config';
import { knownDomains } from '../../../src/audience/identifiers';
import type { Issue } from '../../../src/audience/issues';
import { isFormOpen } from '../../shared/editor/open-form';
import type { EditorNode, EditorRed, Verdict } from '../../types/red-editor';
import { fieldValue, readForm } from './form-values';
import { takesTime, type BuilderProperties } from './properties';
import { fieldName, formSentence } from './words';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;
export type Property = keyof BuilderProperties;

const maxInt = 2147483647;
/** Node-RED puts the variable's value in place before the runtime sees it. */
const environment = /^\$(\{[^}]+\}|\([^)]+\))$/;

/** true, or everything that is wrong with this property, given the others. */
export function verdictOn(node: Builder, property: Property, value: unknown): Verdict {
  if (typeof value === 'string' && environment.test(value)) return true;
  const own = ownVerdict(node, property, value);
  if (own !== true) return own;
  const refused = refusedByRuntime(node, property, value);
  return refused.length === 0 ? true : refused;
}

function ownVerdict(node: Builder, property: Property, value: unknown): Verdict {
  switch (property) {
    case 'items':
      return current(node, 'source') === 'items'
        ? inputVerdict(node, value, { typeKey: 'itemsType', property })
        : true;
    case 'userId':
      return inputVerdict(node, value, { typeKey: 'userIdType', property });
    case 'domain':
      return domainVerdict(node, value);
    case 'actionProperty':
      return current(node, 'action') === 'property'
        ? inputVerdict(node, value, { typeKey: 'actionType', property })
        : true;
    case 'segments':
      return segmentsVerdict(node, value);
    case 'eventTime':
      return inputVerdict(node, value, { typeKey: 'eventTimeType', property, optional: true });
    case 'output':
      return outputVerdict(node, value);
    default:
      return true;
  }
}

/** The property as it stands in the open form, else as saved. */
function current(node: Builder, key: Property): unknown {
  return isFormOpen(node) ? fieldValue(key) : node[key];
}

// ── The runtime's own checks ────────────────────────────────────────────────────────────────────────────────────

function refusedByRuntime(node: Builder, property: Property, value: unknown): string[] {
  const config: Record<string, unknown> = { ...(isFormOpen(node) ? readForm() : node), [property]: value };
  return checkBuilderConfig(config)
    .filter((issue) => rootOf(issue) === property && !isFromEnvironment(config, issue.path))
    .map((issue) => formSentence(node, issue));
}

function rootOf({ path, code }: Issue): string {
  if (code === 'config_no_segments') return 'segments';
  return /^\w+/.exec(path)?.[0] ?? '';
}

/** Neither a value nor a type that a variable gives can be judged here. */
function isFromEnvironment(config: Record<string, unknown>, path: string): boolean {
  const row = /^segments\[(\d+)\]\.(\w+)$/.exec(path);
  const owner =
    row === null ? config : (config as { segments: Record<string, unknown>[] }).segments[Number(row[1])]!;
  const name = row?.[2] ?? path;
  return [name, `${name}Type`].some((key) => {
    const value = owner[key];
    return typeof value === 'string' && environment.test(value);
  });
}

// ── Typed inputs ────────────────────────────────────────────────────────────────────────────────────────────────

interface InputRule {
  readonly typeKey: Property;
  readonly property: Property;
  readonly optional?: boolean;
}

/** A typed input: filled in (unless optional), and a path or expression that can be read. */
function inputVerdict(node: Builder, value: unknown, { typeKey, property, optional }: InputRule): Verdict {
  const type = String(current(node, typeKey));
  return typedVerdict(node, value, type, fieldName(node, property), optional === true);
}

function typedVerdict(
  node: Builder,
  value: unknown,
  type: string,
  field: string,
  optional: boolean,
): Verdict {
  if (type === 'item') return itemVerdict(node, value, field);
  if (value === '' || value === undefined || value === null) {
    return optional ? true : node._('segment-builder.validate.required', { field });
  }
  if (typeof value === 'string' && environment.test(value)) return true;
  const valid = RED.utils.validateTypedProperty(value, type, {});
  return valid === true ? true : node._('segment-builder.validate.property', { field, reason: valid });
}

/** `item` exists only where a message holds items; '' is the item itself. */
function itemVerdict(node: Builder, value: unknown, field: string): Verdict {
  if (current(node, 'source') !== 'items') return node._('segment-builder.validate.item', { field });
  const valid = value === '' ? true : RED.utils.validateTypedProperty(value, 'msg', {});
  return valid === true ? true : node._('segment-builder.validate.property', { field, reason: valid });
}

/** The runtime puts entries into the message, nowhere else. */
function outputVerdict(node: Builder, value: unknown): Verdict {
  const type = String(current(node, 'outputType'));
  if (type !== 'msg' && !environment.test(type)) {
    const params = { got: type, known: 'msg' };
    return formSentence(node, { code: 'config_choice', path: 'output', params });
  }
  return inputVerdict(node, value, { typeKey: 'outputType', property: 'output' });
}

function domainVerdict(node: Builder, domain: unknown): Verdict {
  const rule: InputRule = { typeKey: 'domainType', property: 'domain', optional: true };
  if (current(node, 'domainType') !== 'str') return inputVerdict(node, domain, rule);
  if (typeof domain !== 'string' || domain === '') return true;
  if (domain.trim().toLowerCase() === 'sha1mac') return node._('segment-builder.validate.retired');
  const known = knownDomains.includes(domain.trim().toLowerCase());
  if (known || current(node, 'allowCustomDomain') === true) return true;
  return node._('segment-builder.validate.domain', { domain });
}

// ── Segments ────────────────────────────────────────────────────────────────────────────────────────────────────

function segmentsVerdict(node: Builder, rows: unknown): Verdict {
  if (!Array.isArray(rows) || rows.length === 0) return node._('segment-builder.validate.noSegments');
  const wrong = rows.flatMap((row: unknown, index) =>
    typeof row === 'object' && row !== null ? rowProblems(node, row as SegmentRow, index + 1) : [],
  );
  return wrong.length === 0 ? true : wrong;
}

function rowProblems(node: Builder, row: SegmentRow, position: number): string[] {
  const say = (key: string): string => node._(`segment-builder.validate.${key}`, { row: position });
  const problems: string[] = [];
  const missing = row.segment === '' && row.segmentType !== 'item';
  if (missing) problems.push(say('segment'));
  else if (row.by === 'id' && !wholeIfConstant(row.segment, row.segmentType, 1, maxInt)) {
    problems.push(say('segmentId'));
  }
  if (row.by === 'code' && !memberGiven(row)) problems.push(say('member'));
  if (current(node, 'action') !== 'remove') problems.push(...timeProblems(row, say));
  return [...problems, ...pathProblems(node, row, position)];
}

function memberGiven(row: SegmentRow): boolean {
  if (row.member === '' && row.memberType !== 'item') return false;
  return wholeIfConstant(row.member, row.memberType, 1, maxInt);
}

function timeProblems(row: SegmentRow, say: (key: string) => string): string[] {
  const problems: string[] = [];
  if (row.value !== '' && !wholeIfConstant(row.value, row.valueType, -maxInt - 1, maxInt))
    problems.push(say('value'));
  if (!takesTime(row) || !isConstant(row.expiration, row.expirationType)) return problems;
  const time = Number(row.expiration);
  if (row.expiration === '' || !Number.isFinite(time) || time < -1) problems.push(say('expiration'));
  else if (!Number.isInteger(minutesOf(row, time))) problems.push(say('expirationMinutes'));
  else if (minutesOf(row, time) > maxInt) problems.push(say('expirationLong'));
  return problems;
}

/** As the builder reckons: 1.5 hours are 90 minutes. */
function minutesOf({ expirationUnit }: SegmentRow, time: number): number {
  const product = time * (minutesPerUnit[expirationUnit] ?? 1);
  const whole = Math.round(product);
  return Math.abs(product - whole) < 1e-6 ? whole : product;
}

function pathProblems(node: Builder, row: SegmentRow, position: number): string[] {
  const fields: (readonly [string, string, string])[] = [['segment', row.segment, row.segmentType]];
  if (row.by === 'code') fields.push(['member', row.member, row.memberType]);
  if (current(node, 'action') !== 'remove') {
    fields.push(['value', row.value, row.valueType]);
    if (takesTime(row)) fields.push(['expiration', row.expiration, row.expirationType]);
  }
  return fields.flatMap(([name, value, type]) => {
    // Constants have sentences of their own.
    if (type === 'num' || type === 'str') return [];
    const field = fieldName(node, `segments[${position - 1}].${name}`);
    const verdict = typedVerdict(node, value, type, field, true);
    return verdict === true ? [] : verdict;
  });
}

function isConstant(value: string, type: string): boolean {
  return (type === 'num' || type === 'str') && !environment.test(value);
}

function wholeIfConstant(value: string, type: string, min: number, max: number): boolean {
  if (!isConstant(value, type)) return true;
  return /^\d+$/.test(value) && Number(value) >= min && Number(value) <= max;
}
