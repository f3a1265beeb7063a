// Assigns the warnings of an accepted post to its entries and blocks, and derives one verdict for each entry
// (service.md 3.3).
//
// A warning repeats the entry, or the block alone, with or without null keys and `domain`. So each warning claims the
// best match that no warning of its kind has claimed yet: first by id, domain and blocks, then by fewer of them. Each
// lookup continues where the last one for the same key ended, so the whole is linear in entries plus warnings.
import type { SegBlock } from '../../entry/entry';
import type { EntryVerdict, RequestCounts, Warning } from './outcome';
import { safeWords } from './quote';
import { asObject, type Envelope } from './response-classifier';

/** An entry of the posted body, as JSON.parse returns it. */
export interface SentEntry {
  readonly user_id: string;
  readonly domain?: string | null;
  readonly seg_block: readonly SegBlock[];
}

type WarningKind = 'again' | 'block' | 'entry' | 'nothing' | 'unknown' | 'unknownBlock';

const known: readonly { readonly pattern: RegExp; readonly kind: WarningKind; readonly code: string }[] = [
  { pattern: /^Too many user_ids/i, kind: 'again', code: 'too_many_users' },
  {
    pattern: /^'seg_id' or 'seg_code' and 'member_id' are required/i,
    kind: 'block',
    code: 'segment_required',
  },
  { pattern: /^No valid segments for user_id:/i, kind: 'entry', code: 'no_valid_segments' },
  { pattern: /^'seg_block' is required/i, kind: 'entry', code: 'seg_block_required' },
  { pattern: /^'user_id' is required/i, kind: 'entry', code: 'user_id_required' },
  { pattern: /^No valid rt_segment in request/i, kind: 'nothing', code: 'no_valid_rt_segment' },
];

const ACCEPTED: EntryVerdict = { kind: 'accepted', warnings: [] };
/** Limits the warnings without an entry, which are attached to every accepted entry. */
const MAX_GENERAL = 5;

interface Reason {
  readonly code: string;
  readonly message: string;
}

/** Warnings assigned to one entry, collected before its verdict. */
interface Findings {
  again: boolean;
  rejected: Reason | null;
  readonly blocks: Map<number, Reason>;
  readonly notes: string[];
}

/**
 * One verdict for each sent entry, in the order of `sent`. An entry with an unknown warning stays accepted, with the
 * warning attached. Takes time linear in `sent` plus `warnings`.
 */
export function verdicts(sent: readonly SentEntry[], warnings: readonly Warning[]): EntryVerdict[] {
  if (warnings.length === 0) return sent.map(() => ACCEPTED);
  const reading = new Reading(sent);
  // Warnings about entries first: they show to which of several equal blocks a warning about a block belongs.
  const [blocks, others] = partition(
    warnings.map(classify),
    ({ kind }) => kind === 'block' || kind === 'unknownBlock',
  );
  for (const warning of others) reading.readEntryWarning(warning);
  reading.readBlockWarnings(blocks);
  return reading.verdicts();
}

interface Classified extends Reason {
  readonly kind: WarningKind;
  readonly entity: Envelope | null;
  /** The warning's text as received; `message` is safe to show. */
  readonly raw: string;
}

function classify(warning: Warning): Classified {
  const raw = warning.message.trim();
  const entity = asObject(warning.entity);
  const texts = { entity, raw, message: safeWords(raw) };
  const row = known.find(({ pattern }) => pattern.test(raw));
  if (row !== undefined) return { ...texts, kind: row.kind, code: row.code };
  const isBlock = entity !== null && ('seg_id' in entity || 'seg_code' in entity);
  return { ...texts, kind: isBlock ? 'unknownBlock' : 'unknown', code: 'unknown' };
}

function partition<T>(list: readonly T[], first: (one: T) => boolean): [T[], T[]] {
  return [list.filter(first), list.filter((one) => !first(one))];
}

class Reading {
  readonly #sent: readonly SentEntry[];
  readonly #entries: Claims;
  readonly #findings = new Map<number, Findings>();
  readonly #general = new Set<string>();
  #nothing: Reason | null = null;

  constructor(sent: readonly SentEntry[]) {
    this.#sent = sent;
    this.#entries = new Claims(sent.map((entry) => entryKeys(asObject(entry) ?? {})));
  }

  readEntryWarning(warning: Classified): void {
    if (warning.kind === 'nothing') {
      this.#nothing = warning;
      return;
    }
    const index = this.#claimEntry(warning);
    if (index === null) {
      this.#addGeneral(warning);
      return;
    }
    const findings = this.#of(index);
    if (warning.kind === 'again') findings.again = true;
    else if (warning.kind === 'entry') findings.rejected ??= { code: warning.code, message: warning.message };
    else findings.notes.push(warning.message);
  }

  /** Assigns each warning to a block of a rejected entry first, and to a block of another entry if none is left. */
  readBlockWarnings(warnings: readonly Classified[]): void {
    if (warnings.length === 0) return;
    const [rejected, others] = partition(placesOf(this.#sent), ({ entry }) => this.#isRejected(entry));
    const places = [...rejected, ...others];
    const claims = new Claims(places.map(({ keys }) => keys));
    for (const warning of warnings) {
      const at = claims.claim(laneOf(warning), blockKeys(warning.entity ?? {}));
      if (at === null) {
        this.#addGeneral(warning);
        continue;
      }
      const { entry, block } = places[at]!;
      const findings = this.#of(entry);
      if (warning.kind === 'unknownBlock') findings.notes.push(warning.message);
      else findings.blocks.set(block, { code: warning.code, message: warning.message });
    }
  }

  verdicts(): EntryVerdict[] {
    const general = [...this.#general];
    const plain: EntryVerdict = general.length === 0 ? ACCEPTED : { kind: 'accepted', warnings: general };
    return this.#sent.map((entry, index) => {
      const findings = this.#findings.get(index);
      if (findings?.again) return { kind: 'again' };
      const blocks = blocksOf(entry.seg_block).length;
      const rejected = findings === undefined ? this.#nothing : this.#rejection(findings, blocks);
      if (rejected !== null) return { kind: 'rejected', code: rejected.code, message: rejected.message };
      if (findings === undefined) return plain;
      if (findings.blocks.size > 0) return { kind: 'partly', blocks: findings.blocks };
      return { kind: 'accepted', warnings: [...findings.notes, ...general] };
    });
  }

  /** Why no block of an entry was applied, with the details of its blocks; null when some block was applied. */
  #rejection(findings: Findings, blockCount: number): Reason | null {
    const [first] = findings.blocks.values();
    const allBlocks = first !== undefined && findings.blocks.size >= blockCount ? first : null;
    const reason = findings.rejected ?? allBlocks ?? this.#nothing;
    if (reason === null || first === undefined) return reason;
    const where = [...findings.blocks.keys()].slice(0, 5).map((at) => `seg_block[${at}]`);
    const more = findings.blocks.size > where.length ? ', …' : '';
    const detail = `${where.join(', ')}${more}: ${first.message}`;
    return { code: reason.code, message: reason === first ? detail : `${reason.message} ${detail}` };
  }

  #claimEntry(warning: Classified): number | null {
    const keys = lookupKeys(warning);
    // Without a match, the last entry: the service skips those beyond the 1000th, and sending one again does no harm.
    if (warning.kind === 'again') return this.#entries.claim(warning.code, [...keys, ANY], true);
    return this.#entries.claim(laneOf(warning), keys) ?? this.#entries.first(keys);
  }

  #addGeneral({ message }: Classified): void {
    if (this.#general.size < MAX_GENERAL) this.#general.add(message);
  }

  #isRejected(index: number): boolean {
    return this.#findings.get(index)?.rejected != null;
  }

  #of(index: number): Findings {
    const found = this.#findings.get(index);
    if (found !== undefined) return found;
    const findings: Findings = { again: false, rejected: null, blocks: new Map(), notes: [] };
    this.#findings.set(index, findings);
    return findings;
  }
}

/** Position of a block in the request, and the keys by which a warning finds it. */
interface Place {
  readonly entry: number;
  readonly block: number;
  readonly keys: readonly string[];
}

function placesOf(sent: readonly SentEntry[]): Place[] {
  return sent.flatMap(({ seg_block }, entry) =>
    blocksOf(seg_block).map((block, at) => ({ entry, block: at, keys: blockKeys(block) })),
  );
}

/** Within one lane each entry is claimed once. Every known code is a lane, and every text of an unknown warning. */
function laneOf({ code, raw }: Classified): string {
  return code === 'unknown' ? `unknown ${raw}` : code;
}

/** Index of items by several keys each. Each lane can claim an item once, by the first key with an unclaimed item. */
class Claims {
  readonly #lists = new Map<string, number[]>();
  readonly #claimed = new Map<string, Set<number>>();
  /** Position of each lane in the list of each key. */
  readonly #at = new Map<string, number>();

  constructor(keys: readonly (readonly string[])[]) {
    keys.forEach((ofItem, item) => {
      for (const key of ofItem) {
        const list = this.#lists.get(key);
        if (list === undefined) this.#lists.set(key, [item]);
        else if (list.at(-1) !== item) list.push(item);
      }
    });
  }

  /** The first item of the first key that has items, claimed or not. */
  first(keys: readonly string[]): number | null {
    for (const key of keys) {
      const item = this.#lists.get(key)?.[0];
      if (item !== undefined) return item;
    }
    return null;
  }

  /** Claims an item for the lane, from the end of the lists with `fromEnd`; null when none is left. */
  claim(lane: string, keys: readonly string[], fromEnd = false): number | null {
    const claimed = this.#claimed.get(lane) ?? new Set();
    this.#claimed.set(lane, claimed);
    for (const key of keys) {
      const list = this.#lists.get(key) ?? [];
      const pointer = `${lane} ${key}`;
      let at = this.#at.get(pointer) ?? 0;
      while (at < list.length && claimed.has(itemAt(list, at, fromEnd))) at += 1;
      this.#at.set(pointer, at);
      if (at === list.length) continue;
      const item = itemAt(list, at, fromEnd);
      claimed.add(item);
      return item;
    }
    return null;
  }
}

function itemAt(list: readonly number[], at: number, fromEnd: boolean): number {
  return list[fromEnd ? list.length - 1 - at : at]!;
}

/** Key of all entries. */
const ANY = 'any';

/** Keys of a sent entry. */
function entryKeys(entry: Envelope): string[] {
  const id = idOf(entry.user_id);
  const domain = domainOf(entry);
  const blocks = blocksKey(entry.seg_block);
  const exact = [
    key('idb', id, domain, blocks),
    key('id', id, domain),
    key('ib', id, blocks),
    key('i', id),
    key('f', id.toLowerCase()),
  ];
  return /^\d{16,}$/.test(id) ? [...exact, key('n', String(Number(id))), ANY] : [...exact, ANY];
}

/** The keys by which a warning finds its entry, best first; without a domain, entries with a null domain first. */
function lookupKeys({ entity, raw }: Classified): string[] {
  if (entity === null || 'rt_segment' in entity) return namedKeys(raw);
  if (!('user_id' in entity) && !('seg_block' in entity)) return namedKeys(raw);
  const id = idOf(entity.user_id);
  const domain = domainOf(entity);
  const blocks = blocksKey(entity.seg_block);
  const keys = [key('idb', id, domain, blocks), key('ib', id, blocks), key('id', id, domain), key('i', id)];
  // With a domain in the warning, an entry of another domain is another user: matched only if nothing else is left.
  if (domain !== '') [keys[1], keys[2]] = [keys[2]!, keys[1]!];
  // A number beyond 2^53 has lost its last digits on the way through JSON.
  const number = typeof entity.user_id === 'number' ? [key('n', String(entity.user_id))] : [];
  return [...keys, key('f', id.toLowerCase()), ...number];
}

/** Keys from the text `No valid segments for user_id: X.`, for a warning whose entity names no user. */
function namedKeys(message: string): string[] {
  const named = / for user_id: /i.exec(message);
  if (named === null) return [];
  const rest = message.slice(named.index + named[0].length);
  const id = rest.endsWith('.') ? rest.slice(0, -1) : rest;
  return [key('i', id), key('f', id.toLowerCase())];
}

/** Keys of a block: the whole block, then its segment alone. */
function blockKeys(block: Envelope): string[] {
  const identity = ['seg_id', 'seg_code', 'member_id'].map((name) => scalar(block[name]));
  return [key('b', wholeBlock(block)), key('s', ...identity)];
}

function wholeBlock(block: Envelope): string {
  return JSON.stringify(
    ['seg_id', 'seg_code', 'member_id', 'value', 'expiration'].map((name) => scalar(block[name])),
  );
}

function blocksKey(blocks: unknown): string {
  return JSON.stringify(blocksOf(blocks).map(wholeBlock));
}

function blocksOf(blocks: unknown): Envelope[] {
  return Array.isArray(blocks) ? blocks.map((block) => asObject(block) ?? {}) : [];
}

function idOf(value: unknown): string {
  return scalar(value) ?? '';
}

function domainOf(entry: Envelope): string {
  return scalar(entry.domain) ?? '';
}

/** Text of a string or number, so that both compare as equal; null for every other value. */
function scalar(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

function key(kind: string, ...parts: readonly (string | null)[]): string {
  return kind + JSON.stringify(parts);
}

/** Numbers of users and of blocks. */
export interface Tally {
  readonly users: number;
  readonly segments: number;
}

/**
 * The users and blocks that are missing in the counts of an accepted post (service.md 3.3). The service may or may not count entries and blocks that its
 * warnings refuse; it should count all others. A count above the number sent, or no count at all, proves nothing.
 *
 * @param blocks number of blocks of each entry, in the order of the request
 * @param entryVerdicts result of each entry by the warnings; null without warnings
 */
export function uncounted(
  counts: RequestCounts,
  blocks: readonly number[],
  entryVerdicts: readonly EntryVerdict[] | null,
): Tally {
  let users = blocks.length;
  let segments = 0;
  for (let index = 0; index < blocks.length; index += 1) {
    const verdict = entryVerdicts?.[index];
    const isRefused = verdict?.kind === 'rejected' || verdict?.kind === 'again';
    if (isRefused) users -= 1;
    else segments += blocks[index]! - (verdict?.kind === 'partly' ? verdict.blocks.size : 0);
  }
  return {
    users: Math.max(0, users - (counts.users ?? Infinity)),
    segments: Math.max(0, segments - (counts.segments ?? Infinity)),
  };
}
