// Public exports of the package entry `./entry`: reads and checks entries.

export { checkEntry, type CheckOptions, type CheckResult } from './check';
export type { Block, CheckedEntry, Entry, SegBlock } from './entry';
export { knownDomains } from './keys';
export { sentence, type Issue } from './issues';
export { readEntries, type ReadResult } from './read-input';
export { entryBody } from './serialise';
