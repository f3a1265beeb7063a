// The audience sync's saved properties as the editor sees them, and its label in the workspace.
import type { EditorNode } from '../../types/red-editor';

export interface SyncProperties {
  name: string;
  account: string;
  segmentBy: string;
  segment: string;
  segmentMember: string;
  /** The segment's name at the service, for the label, when it was picked. */
  segmentName: string;
  rows: string;
  rowsType: string;
  userId: string;
  userIdType: string;
  domain: string;
  domainType: string;
  value: string;
  valueType: string;
  expiration: string;
  expirationType: string;
  expirationUnit: string;
  mode: string;
  refresh: number | string;
  maxRemovals: number | string;
  maxRemovalsUnit: string;
  emptyIsError: boolean | string;
  preview: boolean | string;
  runTimeoutMinutes: number | string;
  consent: string;
  consentType: string;
  consentVendor: number | string;
  consentPurposes: number[];
  withoutConsent: string;
}

export type SyncEditorNode = EditorNode<SyncProperties>;

/** A label is read at a glance. */
const longestName = 36;

/** Its name, or its segment. */
export function labelOf(node: SyncEditorNode): string {
  if (node.name) return node.name;
  const text = node.segmentName || node.segment;
  if (text === '' || text.includes('$')) return 'audience sync';
  return text.length <= longestName ? text : `${text.slice(0, longestName - 1).trimEnd()}…`;
}
