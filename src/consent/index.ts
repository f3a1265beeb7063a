// What nodes use of `consent`.

export { tcStringReader } from './tc-string';
