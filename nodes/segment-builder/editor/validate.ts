// What the form says about a property that cannot work, in the editor's language.
import type { SegmentRow } from '../../../src/audience/builder-config';
import { knownDomains } from '../../../src/audience/identifiers';
import type { EditorNode, EditorRed, Verdict } from '../../types/red-editor';
import { takesTime, type BuilderProperties } from './properties';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;

const maxInt = 2147483647;
const environment = /^\$\{[^}]+\}$/;

/** The property as it stands in the open form, else as saved. */
function current(node: Builder, key: keyof BuilderProperties): unknown {
  const field = $(`#node-input-${key}`);
  if (field.length === 0) return node[key];
  return field.is(':checkbox') ? field.prop('checked') : field.val();
}

interface InputRule {
  readonly typeKey: keyof BuilderProperties;
  readonly label: string;
  readonly optional?: boolean;
}

/** A typed input: filled in (unless optional), and a path or expression that can be read. */
export function inputVerdict(node: Builder, value: unknown, rule: InputRule): Verdict {
  const type = String(current(node, rule.typeKey));
  return typedVerdict(
    node,
    value,
    type,
    node._(`segment-builder.label.${rule.label}`),
    rule.optional === true,
  );
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
  const valid = RED.utils.validateTypedProperty(value, type, {});
  return valid === true ? true : node._('segment-builder.validate.property', { field, reason: valid });
}

/** `item` exists only where a message holds items; '' is the item itself. */
function itemVerdict(node: Builder, value: unknown, field: string): Verdict {
  if (current(node, 'source') !== 'items') return node._('segment-builder.validate.item', { field });
  const valid = value === '' ? true : RED.utils.validateTypedProperty(value, 'msg', {});
  return valid === true ? true : node._('segment-builder.validate.property', { field, reason: valid });
}

export function domainVerdict(node: Builder, domain: unknown): Verdict {
  const rule: InputRule = { typeKey: 'domainType', label: 'domain', optional: true };
  if (current(node, 'domainType') !== 'str') return inputVerdict(node, domain, rule);
  if (typeof domain !== 'string' || domain === '' || environment.test(domain)) return true;
  if (domain.trim().toLowerCase() === 'sha1mac') return node._('segment-builder.validate.retired');
  if (knownDomains.includes(domain) || current(node, 'allowCustomDomain') === true) return true;
  return node._('segment-builder.validate.domain', { domain });
}

export function segmentsVerdict(node: Builder, rows: unknown): Verdict {
  if (!Array.isArray(rows) || rows.length === 0) return node._('segment-builder.validate.noSegments');
  const wrong = rows.flatMap((row: SegmentRow, index) => rowProblems(node, row, index + 1));
  return wrong.length === 0 ? true : wrong;
}

function rowProblems(node: Builder, row: SegmentRow, position: number): string[] {
  const say = (key: string): string => node._(`segment-builder.validate.${key}`, { row: position });
  const problems: string[] = [];
  const missing = row.segment === '' && row.segmentType !== 'item';
  if (missing) problems.push(say('segment'));
  else if (row.by === 'id' && !wholeIfConstant(row.segment, row.segmentType, 1, Infinity)) {
    problems.push(say('segmentId'));
  }
  if (row.by === 'code' && !memberGiven(row)) problems.push(say('member'));
  if (node.action !== 'remove') problems.push(...timeProblems(row, say));
  return [...problems, ...pathProblems(node, row, position)];
}

function memberGiven(row: SegmentRow): boolean {
  if (row.member === '' && row.memberType !== 'item') return false;
  return wholeIfConstant(row.member, row.memberType, 1, Infinity);
}

function timeProblems(row: SegmentRow, say: (key: string) => string): string[] {
  const problems: string[] = [];
  if (row.value !== '' && !wholeIfConstant(row.value, row.valueType, 0, maxInt)) problems.push(say('value'));
  if (!takesTime(row) || !isConstant(row.expiration, row.expirationType)) return problems;
  const time = Number(row.expiration);
  if (row.expiration === '' || !Number.isFinite(time) || time < -1) problems.push(say('expiration'));
  else if (row.expirationUnit === 'minutes' && !Number.isInteger(time))
    problems.push(say('expirationMinutes'));
  return problems;
}

function pathProblems(node: Builder, row: SegmentRow, position: number): string[] {
  const fields: (readonly [string, string, string])[] = [['segment', row.segment, row.segmentType]];
  if (row.by === 'code') fields.push(['member', row.member, row.memberType]);
  if (node.action !== 'remove') {
    fields.push(['value', row.value, row.valueType]);
    if (takesTime(row)) fields.push(['expiration', row.expiration, row.expirationType]);
  }
  return fields.flatMap(([label, value, type]) => {
    const field = `${node._('segment-builder.label.segment')} ${position}, ${node._(`segment-builder.label.${label}`)}`;
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
