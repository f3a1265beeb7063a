// The builder's saved properties as the editor sees them, the defaults of a new node, and its label in the workspace.
import { plainText } from '../../shared/saved';
import type { BuilderConfig, SegmentRow } from '../../../src/entry/index';
import type { EditorNode } from '../../types/red-editor';
import { takesTime } from '../schema';

/** A row as the form saves it; `name` is the segment's at the service, for the label, when it was picked. */
export interface NamedRow extends SegmentRow {
  name?: string;
}

export interface BuilderProperties extends BuilderConfig {
  name: string;
  account: string;
  segments: NamedRow[];
  output: string;
  outputType: string;
}

/** A further row: its segment is to be filled in. */
export function newRow(): NamedRow {
  return {
    by: 'id',
    segment: '',
    segmentType: 'num',
    member: '',
    memberType: 'num',
    value: '',
    valueType: 'num',
    expiration: '30',
    expirationType: 'num',
    expirationUnit: 'days',
  };
}

/** A row of a flow file may lack what the form saves, or have numbers where the form has texts. */
export function wholeRow(saved: unknown): NamedRow {
  const row = newRow();
  const fields = typeof saved === 'object' && saved !== null ? Object.entries(saved) : [];
  const texts = fields.flatMap(([name, value]: [string, unknown]) => {
    const text = typeof value === 'string' ? value : plainText(value);
    return text === null ? [] : [[name, text] as const];
  });
  if (texts.some(([name, text]) => name === 'by' && text === 'code')) row.segmentType = 'str';
  return Object.assign(row, Object.fromEntries(texts));
}

const shortUnits: Readonly<Record<string, string>> = { minutes: 'min', hours: 'h', days: 'd' };
/** A label is read at a glance. */
const longestName = 36;

/** Its name, or its segments where all are fixed. */
export function labelOf(node: EditorNode<BuilderProperties>): string {
  if (node.name) return node.name;
  const rows = Array.isArray(node.segments) ? node.segments.map(wholeRow) : [];
  if (rows.length === 0 || !rows.every(isFixed)) return 'segment builder';
  const segments = listOf(node, rows);
  if (node.action === 'remove') return node._('segment-builder.label.remove', { segments });
  return node.action === 'property' ? node._('segment-builder.label.depends', { segments }) : segments;
}

function isFixed({ segment, segmentType }: NamedRow): boolean {
  return segment !== '' && (segmentType === 'num' || segmentType === 'str');
}

function listOf(node: EditorNode<BuilderProperties>, rows: readonly NamedRow[]): string {
  const first = rows[0]!;
  const time = node.action === 'add' ? timeOf(node, first) : '';
  const text = time === '' ? nameOf(first) : `${nameOf(first)} · ${time}`;
  return rows.length === 1
    ? text
    : node._('segment-builder.label.more', { segments: text, rest: rows.length - 1 });
}

/** The segment's name at the service, else its id or code. */
function nameOf({ name = '', segment }: NamedRow): string {
  const text = name === '' ? segment : name;
  return text.length <= longestName ? text : `${text.slice(0, longestName - 1).trimEnd()}…`;
}

function timeOf(node: EditorNode<BuilderProperties>, row: NamedRow): string {
  if (row.expirationUnit === 'never') return node._('segment-builder.label.forever');
  if (!takesTime(row.expirationUnit) || row.expirationType !== 'num') return '';
  return `${row.expiration} ${shortUnits[row.expirationUnit] ?? ''}`;
}
