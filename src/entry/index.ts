// What nodes use of `entry`; editor scripts too.

export { boundedJson } from './bounded-json';
export { checkEntry, isObject, maxInt, maxIssues, minInt } from './check';
export type { CheckedEntry, Entry } from './entry';
export { readEventTime } from './event-time';
export { printable } from './foreign-text';
export { filledIn, type Issue, issueSentences } from './issues';
export { type Builder, type BuildResult, compileBuilder } from './mapping/build';
export {
  type BuilderConfig,
  type ConsentConfig,
  type ExpirationUnit,
  inputTypes,
  minutesPerUnit,
  type SegmentRow,
} from './mapping/builder-config';
export type { ReadTcString } from './mapping/consent';
export { type FixedSegment, fixedSegments } from './mapping/fixed-segments';
export { compilePath, type PathPart } from './mapping/property-path';
export {
  type BuildContext,
  type CompiledInput,
  evaluateInput,
  Failed,
  Later,
  type ResolveProperty,
  settle,
} from './mapping/typed-inputs';
export { ignoresCase, knownDomains, maxTextChars, readDomain, readErasedUser } from './keys';
export { memberKeyOf } from './member-key';
export { readEntries } from './read-input';
export { userHead } from './serialise';
export { shorten, shortenThrown } from './shorten';
export { eachInSlices, inSlices, type Slices, SliceTurns, type Steps } from './slices';
