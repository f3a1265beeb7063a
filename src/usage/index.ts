// What nodes use of `usage`.

export type { Finding, NoEffectFinding } from './findings';
export { checkRange, type Range, rangeOfFullHours, rangeUntilNow } from './ranges';
export { SeenSegments } from './seen-segments';
export {
  checkSegments,
  isWarning,
  recentlySeen,
  type SegmentFinding,
  type SegmentWarning,
} from './segment-check';
export { usageRingName } from './usage-history';
export { runUsage, type UsageRun } from './usage-run';
