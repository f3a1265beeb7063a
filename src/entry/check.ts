// Checks an entry by the service's rules (service.md 3.1, 3.2 and 6) and serialises it for queue and batch.
//
// Written by hand instead of with a schema, since it runs for every entry of every message.
import { boundedJson } from './bounded-json';
import type { Block, CheckedEntry } from './entry';
import { readEventTime } from './event-time';
import { printable } from './foreign-text';
import { type Issue, type IssueCode, type Problem } from './issues';
import { isPlain, maxTextChars, readDomain, readUserId, textProblem, userIdProblem, userKeyOf } from './keys';
import { blockOf, bodyOf, listOf, utf8Bytes } from './serialise';
import { shorten, shortenThrown } from './shorten';

/** Limit of blocks in one entry, which bounds its memory. The engine spreads more than 100 over several requests. */
export const maxBlocks = 10_000;
/** Largest value of the service's integers: `seg_id`, `member_id`, `value` and `expiration`. */
export const maxInt = 2_147_483_647;
/** A longer text is neither a number nor a keyword. */
export const maxWordChars = 64;
export const minInt = -2_147_483_648;
/** Limit for all unknown fields of an entry, or of a block, as JSON. */
const maxUnknownChars = 1_000;
/** Limit of issues for one entry, which may have ten thousand bad blocks. */
export const maxIssues = 20;

export interface CheckOptions {
  /** Accepts a domain outside the service's list, as `custom_domain` in the entry does. */
  readonly allowCustomDomain?: boolean;
  /** Number of issues after which the check ends; `maxIssues` by default. */
  readonly mostIssues?: number;
  /** Sends unknown fields to the service unchanged instead of refusing them. */
  readonly allowUnknownFields?: boolean;
  /** False sends expirations unchanged, however late; true by default. */
  readonly ages?: boolean;
}

export type CheckResult =
  | { readonly ok: true; readonly entry: CheckedEntry }
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** The issues of an entry so far. */
export class Findings {
  /** Allocated with the first issue, since most entries have none. */
  private found: Issue[] | null = null;
  count = 0;

  constructor(private readonly max: number) {}

  get issues(): readonly Issue[] {
    return this.found ?? [];
  }

  add(code: IssueCode, path: string, params: Issue['params'] = {}): void {
    this.count++;
    this.found ??= [];
    if (this.found.length < this.max) this.found.push({ code, path, params });
  }

  addProblem(problem: Problem, path: string): void {
    this.add(problem.code, path, problem.params);
  }

  get full(): boolean {
    return this.count >= this.max;
  }
}

/**
 * Checks one entry of unknown shape. Never throws: a getter that throws gives an issue too. Every issue has its path;
 * the check ends at the maximum number of issues. Null and undefined values count as absent.
 */
export function checkEntry(input: unknown, options: CheckOptions = {}): CheckResult {
  const findings = new Findings(options.mostIssues ?? maxIssues);
  try {
    const entry = readEntry(input, options, findings);
    return entry === null ? { ok: false, issues: findings.issues } : { ok: true, entry };
  } catch (error) {
    findings.add('unreadable', '', { reason: shorten(shortenThrown(error)) });
    return { ok: false, issues: findings.issues };
  }
}

const none: readonly never[] = [];

const entryKeys = ['user_id', 'domain', 'seg_block', 'event_time', 'custom_domain'];
const blockKeys = ['seg_id', 'seg_code', 'member_id', 'value', 'expiration'];

function readEntry(input: unknown, options: CheckOptions, findings: Findings): CheckedEntry | null {
  if (!isObject(input)) {
    findings.add('not_an_entry', '', { got: shorten(input) });
    return null;
  }
  let rawId: unknown, rawDomain: unknown, rawBlocks: unknown, rawTime: unknown, rawCustom: unknown;
  const allowUnknown = options.allowUnknownFields === true;
  let unknown: string | null = '';
  // Object.keys would allocate an array for every entry.
  for (const key in input) {
    const value = input[key];
    if (value === undefined || !Object.hasOwn(input, key)) continue;
    if (key === 'user_id') rawId = value;
    else if (key === 'domain') rawDomain = value;
    else if (key === 'seg_block') rawBlocks = value;
    else if (key === 'event_time') rawTime = value;
    else if (key === 'custom_domain') rawCustom = value;
    else if (allowUnknown) unknown = withUnknown(unknown, key, value, '', findings);
    else unknownKey(key, '', entryKeys, findings);
    if (findings.full || unknown === null) return null;
  }
  const custom = readFlag(rawCustom, findings) || options.allowCustomDomain === true;
  const user = readUser(rawId, rawDomain, custom, unknown, findings);
  const eventTime = readEventTime(rawTime);
  if (isProblem(eventTime)) findings.addProblem(eventTime, 'event_time');
  const blocks = readBlocks(rawBlocks, allowUnknown, findings);
  if (user === null || blocks === null || findings.count > 0) return null;
  const body = bodyOf(user.head, blocks);
  return new Checked(user, body, blocks, eventTime as number | null, options.ages !== false);
}

/**
 * Of a class, because V8 allocates what an object literal makes among old objects once most of a burst has survived a
 * collection. There it takes memory until a full collection, and so does whatever it refers to.
 */
export class Checked implements CheckedEntry {
  readonly userKey: string;
  readonly spelling: string;
  readonly headChars: number;
  readonly headBytes: number;
  readonly removes: boolean;

  constructor(
    user: User,
    readonly body: string,
    readonly blocks: readonly Block[],
    readonly eventTimeMs: number | null,
    readonly ages: boolean,
  ) {
    this.userKey = user.userKey;
    this.spelling = user.spelling;
    this.headChars = user.head.length;
    this.headBytes = user.headBytes;
    this.removes = blocks.some(isRemoval);
  }
}

interface User extends Pick<CheckedEntry, 'userKey' | 'spelling' | 'headBytes'> {
  /** JSON up to the blocks. */
  readonly head: string;
}

/** @param unknown unknown fields of the user as JSON, each after a comma */
export function readUser(
  rawId: unknown,
  rawDomain: unknown,
  allowCustom: boolean,
  unknown: string,
  findings: Findings,
): User | null {
  const domain = readDomain(rawDomain, allowCustom);
  // Most ids are plain, and then have no problem.
  const plain = typeof rawId === 'string' && rawId.length <= maxTextChars && isPlain(rawId);
  const id = plain ? rawId : readUserId(rawId);
  if (isProblem(domain)) findings.addProblem(domain, 'domain');
  if (isProblem(id)) findings.addProblem(id, 'user_id');
  if (isProblem(domain) || isProblem(id)) return null;
  const problem = userIdProblem(id, domain);
  if (problem !== null) {
    findings.addProblem(problem, 'user_id');
    return null;
  }
  const { userKey, spelling } = userKeyOf(domain, id);
  const head = (plain ? `{"user_id":"${id}"` : `{"user_id":${JSON.stringify(id)}`) + afterId(domain, unknown);
  const ascii = plain && (domain === null || isPlain(domain)) && unknown === '';
  return {
    userKey,
    // An unknown field may change the meaning of the blocks, so only entries with equal fields are coalesced.
    spelling: unknown === '' ? spelling : spelling + unknown,
    head,
    headBytes: ascii ? head.length : utf8Bytes(head),
  };
}

function afterId(domain: string | null, unknown: string): string {
  const known = domain === null ? '' : `,"domain":${JSON.stringify(domain)}`;
  return `${known}${unknown},"seg_block":[`;
}

/**
 * Appends an unknown field to `fields`, as JSON after a comma. Functions and symbols are left out. Null, with an issue,
 * if the fields become too long: their length is limited so that every entry fits into a request.
 */
function withUnknown(
  fields: string,
  key: string,
  value: unknown,
  path: string,
  findings: Findings,
): string | null {
  if (typeof value === 'function' || typeof value === 'symbol') return fields;
  const charsLeft = maxUnknownChars - fields.length;
  // boundedJson reads no more than fits, but may change values; JSON.stringify throws for circular and bigint values.
  const fits = key.length <= charsLeft && boundedJson(value, charsLeft) !== null;
  const longer = fits ? `${fields},${JSON.stringify(key)}:${JSON.stringify(value)}` : null;
  if (longer !== null && longer.length <= maxUnknownChars) return longer;
  findings.add('unknown_too_long', path, { max: maxUnknownChars });
  return null;
}

function readFlag(raw: unknown, findings: Findings): boolean {
  if (raw === undefined || raw === null) return false;
  if (typeof raw !== 'boolean') findings.add('custom_domain_type', 'custom_domain', { got: shorten(raw) });
  return raw === true;
}

function readBlocks(raw: unknown, allowUnknown: boolean, findings: Findings): readonly Block[] | null {
  if (raw === undefined || raw === null) findings.add('seg_block_missing', 'seg_block');
  else if (!Array.isArray(raw)) findings.add('seg_block_type', 'seg_block', { got: shorten(raw) });
  else if (raw.length === 0) findings.add('seg_block_empty', 'seg_block');
  else if (raw.length > maxBlocks)
    findings.add('seg_block_too_long', 'seg_block', { got: raw.length, max: maxBlocks });
  else return readEachBlock(raw, allowUnknown, findings);
  return null;
}

function readEachBlock(raw: readonly unknown[], allowUnknown: boolean, findings: Findings): readonly Block[] {
  if (raw.length === 1) {
    const block = readBlock(raw[0], 0, allowUnknown, findings);
    return block === null ? none : listOf(block);
  }
  // An empty array that grows by push has room for 17.
  const blocks = new Array<Block>(raw.length);
  for (let index = 0; index < raw.length && !findings.full; index++) {
    const block = readBlock(raw[index], index, allowUnknown, findings);
    if (block !== null) blocks[index] = block;
  }
  return blocks;
}

function readBlock(input: unknown, index: number, allowUnknown: boolean, findings: Findings): Block | null {
  if (!isObject(input)) {
    findings.add('block_type', blockPath(index), { got: shorten(input) });
    return null;
  }
  const before = findings.count;
  let rawId: unknown, rawCode: unknown, rawMember: unknown, rawValue: unknown, rawExpiration: unknown;
  let unknown: string | null = '';
  for (const key in input) {
    const value = input[key];
    if (value === undefined || !Object.hasOwn(input, key)) continue;
    if (key === 'seg_id') rawId = value;
    else if (key === 'seg_code') rawCode = value;
    else if (key === 'member_id') rawMember = value;
    else if (key === 'value') rawValue = value;
    else if (key === 'expiration') rawExpiration = value;
    else if (allowUnknown) unknown = withUnknown(unknown, key, value, blockPath(index), findings);
    else unknownKey(key, `${blockPath(index)}.`, blockKeys, findings);
    if (findings.full || unknown === null) return null;
  }
  const id = readWhole(rawId, 1, maxInt, index, 'seg_id', findings);
  const code = readCode(rawCode, index, findings);
  const member = readWhole(rawMember, 1, maxInt, index, 'member_id', findings);
  const value = readWhole(rawValue, minInt, maxInt, index, 'value', findings);
  const expiration = readWhole(rawExpiration, -1, maxInt, index, 'expiration', findings);
  if (findings.count > before) return null;
  const problem = identityProblem(id, code, member);
  if (problem !== null) {
    findings.add(problem, blockPath(index));
    return null;
  }
  // With an id, the owner is redundant.
  return id === null
    ? blockOf(code!, member, value, expiration, unknown)
    : blockOf(id, null, value, expiration, unknown);
}

/** The fault in naming a segment, which is named either by id, or by code and the member that owns it. */
function identityProblem(id: number | null, code: string | null, member: number | null): IssueCode | null {
  if (id !== null) return code === null ? null : 'segment_twice';
  if (code !== null) return member === null ? 'member_id_missing' : null;
  return member === null ? 'segment_missing' : 'seg_code_missing';
}

function readCode(raw: unknown, index: number, findings: Findings): string | null {
  if (raw === undefined || raw === null) return null;
  const path = 'seg_code';
  if (typeof raw !== 'string') {
    findings.add('text_type', blockPath(index, path), { got: shorten(raw) });
    return null;
  }
  const problem = textProblem(raw);
  if (problem !== null) findings.addProblem(problem, blockPath(index, path));
  return raw;
}

/** A whole number from `min` to `max`; null if absent, or with an issue if wrong. */
function readWhole(
  raw: unknown,
  min: number,
  max: number,
  index: number,
  key: string,
  findings: Findings,
): number | null {
  if (raw === undefined || raw === null) return null;
  // Adding 0 turns -0 into 0.
  if (typeof raw === 'number' && Number.isInteger(raw) && raw >= min && raw <= max) return raw + 0;
  const problem = wholeProblem(raw, key);
  findings.add(problem, blockPath(index, key), { got: shorten(raw), min, max });
  return null;
}

function wholeProblem(raw: unknown, key: string): IssueCode {
  if (typeof raw === 'string' && isNumeric(raw)) return 'number_as_text';
  if (key === 'expiration') return 'expiration_range';
  return typeof raw === 'number' && Number.isFinite(raw) ? 'number_range' : 'number_type';
}

function isNumeric(text: string): boolean {
  return text.length <= maxWordChars && text.trim() !== '' && Number.isFinite(Number(text));
}

/** Refuses an unknown key: the service would ignore it, so a misspelt `expirations` would change memberships. */
function unknownKey(key: string, within: string, known: readonly string[], findings: Findings): void {
  const meant = known.find((name) => looksLike(key, name));
  const place = within + printable(key, 80);
  if (meant !== undefined) findings.add('misspelt_key', place, { meant });
  else findings.add('unknown_key', place, { known: known.join(', ') });
}

/** Whether two names differ only in case, separators and at most two letters added, missing or changed. */
function looksLike(key: string, known: string): boolean {
  const left = key
    .slice(0, 24)
    .toLowerCase()
    .replace(/[_\- ]/g, '');
  const right = known.replace(/_/g, '');
  if (Math.abs(left.length - right.length) > 2) return false;
  return distance(left, right) <= 2;
}

/** Edit distance (Levenshtein) in letters; 3 for any distance above 2. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const change = left[i - 1] === right[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change));
    }
    if (Math.min(...next) > 2) return 3;
    row = next;
  }
  return row[right.length]!;
}

function blockPath(index: number, key?: string): string {
  return key === undefined ? `seg_block[${index}]` : `seg_block[${index}].${key}`;
}

/**
 * Whether a value is an object with named fields. Excludes buffers and boxed texts, whose keys are their elements:
 * listing those of some megabytes takes seconds.
 */
export function isObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !ArrayBuffer.isView(value) && Object.prototype.toString.call(value) !== '[object String]';
}

function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null;
}

function isRemoval(block: Block): boolean {
  return block.expiration === -1;
}
