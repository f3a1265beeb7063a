// A row of a segment builder as its form saves it.
import type { SegmentRow } from '../../src/entry/mapping/builder-config';

export const savedRow: SegmentRow = {
  by: 'id',
  segment: '10001',
  segmentType: 'num',
  member: '',
  memberType: 'num',
  value: '',
  valueType: 'num',
  expiration: '30',
  expirationType: 'num',
  expirationUnit: 'days',
};
