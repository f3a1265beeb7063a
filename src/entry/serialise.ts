// JSON text of blocks and entries, for batch and queue. Each block is made once, since a flow adds thousands of users to
// the same few segments.
import type { Block, CheckedEntry } from './entry';
import { isPlain } from './keys';

/** JSON after the blocks of a user. */
const userTail = ']}';
/** Text between two blocks. It cannot be inside one that is written as it was made: a quote in a text has a backslash. */
const betweenBlocks = '},{"';

/** Prefix of the body of an entry that does not age. Saved in queues: never change it. */
export const notAgingPrefix = 'as it came ';

/** Prefix of the body of a refresh, before that one. Saved in queues: never change it. */
export const refreshPrefix = 'refresh ';

/** JSON of the user up to the blocks; they and `]}` follow. */
export function userHead({ body, headChars }: Pick<CheckedEntry, 'body' | 'headChars'>): string {
  return body.slice(0, headChars);
}

/** The entry as JSON in the service's own form, with the expirations as given. */
export function bodyOf(head: string, blocks: readonly Block[]): string {
  const texts = blocks.length === 1 ? blocks[0]!.text : blocks.map(({ text }) => text).join(',');
  return flat(head + texts + userTail);
}

/**
 * The same text in one piece: V8 keeps what `+` joins as a tree of parts until a character is read. A tree takes more memory
 * for as long as it is kept, and more time to copy.
 */
function flat(text: string): string {
  return text.charCodeAt(0) === 0 ? '' : text;
}

/** The body as the queue stores it, without the event time, which has its own column. */
export function queuedBody(entry: CheckedEntry): string {
  return prefixOf(entry) + entry.body;
}

function prefixOf({ ages, refresh }: CheckedEntry): string {
  return (refresh === true ? refreshPrefix : '') + (ages ? '' : notAgingPrefix);
}

/** Length of `queuedBody` in characters. */
export function bodyChars(entry: CheckedEntry): number {
  return prefixOf(entry).length + entry.body.length;
}

const encoder = new TextEncoder();

/** Number of UTF-8 bytes; 3 for a lone surrogate, which the encoding replaces. The editor has no Buffer. */
export const utf8Bytes: (text: string) => number =
  typeof Buffer === 'undefined' ? (text) => encoder.encode(text).length : (text) => Buffer.byteLength(text);

/** A block: its head, followed by the expiration in minutes; null leaves the key out. */
export function blockText(head: string, expiration: number | null): string {
  return expiration === null ? `${head}}` : `${head},"expiration":${expiration}}`;
}

interface Known {
  readonly member: number | null;
  readonly value: number | null;
  readonly block: Block;
}

const maxSegments = 2048;
const maxPerSegment = 8;

/** Cached blocks by segment. Emptied when full, so that a stream of new segments does not fill the memory. */
const knownBlocks = new Map<number | string, Known[]>();

/**
 * The block of a segment, named by id or by code and member. Entries share blocks: never change one.
 *
 * @param expiration minutes; null leaves the key out
 * @param unknown unknown fields as JSON, each after a comma; blocks with such fields are not cached
 */
export function blockOf(
  segment: number | string,
  member: number | null,
  value: number | null,
  expiration: number | null,
  unknown = '',
): Block {
  if (unknown !== '') return makeBlock(segment, member, value, expiration, unknown);
  const known = knownBlocks.get(segment);
  if (known !== undefined) {
    for (const each of known) {
      if (each.value === value && each.block.expiration === expiration && each.member === member)
        return each.block;
    }
  }
  const block = makeBlock(segment, member, value, expiration, '');
  remember(segment, { member, value, block }, known);
  return block;
}

/** Lists of one block each by its text: most entries have only one. Emptied when full. */
const knownLists = new Map<string, readonly [Block]>();
const maxLists = 2048;

/** The list of this block alone, which entries share. */
export function listOf(block: Block): readonly [Block] {
  const known = knownLists.get(block.text);
  if (known !== undefined) return known;
  const list = [block] as const;
  if (knownLists.size >= maxLists) knownLists.clear();
  knownLists.set(block.text, list);
  return list;
}

/**
 * The blocks from this place on to the end of a body, if each was made lately and is written exactly as it was made. Null
 * says nothing about them.
 */
export function knownBlocksOf(body: string, from: number): readonly Block[] | null {
  const to = body.length - userTail.length;
  if (!body.endsWith(userTail)) return null;
  const only = knownLists.get(body.slice(from, to));
  if (only !== undefined) return only;
  const blocks: Block[] = [];
  for (let at = from; at <= to;) {
    const next = body.indexOf(betweenBlocks, at);
    const end = next === -1 ? to : next + 1;
    const known = knownLists.get(body.slice(at, end));
    if (known === undefined) return null;
    blocks.push(known[0]);
    at = end + 1;
  }
  return blocks;
}

function remember(segment: number | string, entry: Known, known: Known[] | undefined): void {
  if (known === undefined) {
    if (knownBlocks.size >= maxSegments) knownBlocks.clear();
    knownBlocks.set(segment, [entry]);
    return;
  }
  if (known.length >= maxPerSegment) known.shift();
  known.push(entry);
}

function makeBlock(
  segment: number | string,
  member: number | null,
  value: number | null,
  expiration: number | null,
  unknown: string,
): Block {
  const rest = (value === null ? '' : `,"value":${value}`) + unknown;
  if (typeof segment === 'number') {
    const head = `{"seg_id":${segment}${rest}`;
    const headBytes = unknown === '' ? head.length : utf8Bytes(head);
    const text = blockText(head, expiration);
    return { key: `i${segment}`, kind: 'id', head, headBytes, expiration, text };
  }
  const head = `{"seg_code":${JSON.stringify(segment)},"member_id":${member}${rest}`;
  const headBytes = isPlain(segment) && unknown === '' ? head.length : utf8Bytes(head);
  const text = blockText(head, expiration);
  return { key: `c${member}:${segment.toLowerCase()}`, kind: 'code', head, headBytes, expiration, text };
}
