// The builder's saved properties as the editor sees them, and the defaults of a new node.
import { plainText } from '../../shared/saved';
import type { BuilderConfig, SegmentRow } from '../../../src/entry/index';

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

/** A new row: a user id and this row's segment are all that a new user has to fill in. */
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

/** Whether a row's time is a number of units; `never` and `default` are not. */
export function takesTime(row: SegmentRow): boolean {
  return row.expirationUnit !== 'never' && row.expirationUnit !== 'default';
}
