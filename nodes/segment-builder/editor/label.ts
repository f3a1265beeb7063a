// Label of the builder in the workspace: its name, or its segments.
import type { EditorNode } from '../../types/red-editor';
import { takesTime, wholeRow, type BuilderProperties, type NamedRow } from './properties';

const shortUnits: Readonly<Record<string, string>> = { minutes: 'min', hours: 'h', days: 'd' };
const paths: readonly string[] = ['msg', 'flow', 'global', 'item'];
/** A label is read at a glance. */
const longestName = 36;

export function labelOf(node: EditorNode<BuilderProperties>): string {
  if (node.name) return node.name;
  const rows = Array.isArray(node.segments) ? node.segments.map(wholeRow).filter(namesSegment) : [];
  if (rows.length === 0) return node._('segment-builder.paletteLabel');
  const segments = listOf(node, rows);
  if (node.action === 'remove') return node._('segment-builder.label.remove', { segments });
  return node.action === 'property' ? node._('segment-builder.label.depends', { segments }) : segments;
}

function namesSegment(row: NamedRow): boolean {
  return row.segment !== '' || row.segmentType === 'item';
}

function listOf(node: EditorNode<BuilderProperties>, rows: readonly NamedRow[]): string {
  const first = rows[0]!;
  const time = node.action === 'add' ? timeOf(node, first) : '';
  const text = time === '' ? nameOf(first) : `${nameOf(first)} · ${time}`;
  return rows.length === 1
    ? text
    : node._('segment-builder.label.more', { segments: text, rest: rows.length - 1 });
}

/** The segment's name at the service, else the typed value, with its type unless it is the segment itself. */
function nameOf({ name = '', segment, segmentType }: NamedRow): string {
  const path = paths.includes(segmentType)
    ? [segmentType, segment].filter((part) => part !== '').join('.')
    : segment;
  const text = name === '' ? path : name;
  return text.length <= longestName ? text : `${text.slice(0, longestName - 1).trimEnd()}…`;
}

function timeOf(node: EditorNode<BuilderProperties>, row: NamedRow): string {
  if (row.expirationUnit === 'never') return node._('segment-builder.option.never');
  if (!takesTime(row) || row.expirationType !== 'num') return '';
  return `${row.expiration} ${shortUnits[row.expirationUnit] ?? ''}`;
}
