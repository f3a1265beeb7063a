// Package entry `./entry`: reads and checks entries.

export { checkEntry, type CheckOptions, type CheckResult } from '../entry/check';
export type { Block, CheckedEntry, Entry, SegBlock } from '../entry/entry';
export { knownDomains } from '../entry/keys';
export { sentence, type Issue } from '../entry/issues';
export { readEntries, type ReadResult } from '../entry/read-input';
