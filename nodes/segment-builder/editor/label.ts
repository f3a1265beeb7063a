// The node's label in the workspace: its name, or what it does.
import type { SegmentRow } from '../../../src/audience/builder-config';
import type { EditorNode } from '../../types/red-editor';
import { takesTime, type BuilderProperties } from './properties';

const shortUnits: Readonly<Record<string, string>> = { minutes: 'min', hours: 'h', days: 'd' };

export function labelOf(node: EditorNode<BuilderProperties>): string {
  if (node.name) return node.name;
  const rows = Array.isArray(node.segments) ? node.segments.filter((row) => row.segment !== '') : [];
  if (rows.length === 0) return node._('segment-builder.paletteLabel');
  const segments = listOf(node, rows);
  if (node.action === 'remove') return node._('segment-builder.label.remove', { segments });
  return node.action === 'property' ? node._('segment-builder.label.depends', { segments }) : segments;
}

function listOf(node: EditorNode<BuilderProperties>, rows: readonly SegmentRow[]): string {
  const first = rows[0]!;
  const time = node.action === 'add' ? timeOf(node, first) : '';
  const text = time === '' ? first.segment : `${first.segment} · ${time}`;
  return rows.length === 1
    ? text
    : node._('segment-builder.label.more', { segments: text, rest: rows.length - 1 });
}

function timeOf(node: EditorNode<BuilderProperties>, row: SegmentRow): string {
  if (row.expirationUnit === 'never') return node._('segment-builder.option.never');
  if (!takesTime(row) || row.expirationType !== 'num') return '';
  return `${row.expiration} ${shortUnits[row.expirationUnit] ?? ''}`;
}
