// JSON text of blocks and entries, for batch and queue. Each block is made once, since a flow adds thousands of users to
// the same few segments.
import type { Block, CheckedEntry } from './entry';
import { isPlain } from './keys';

/** JSON after the blocks of a user. */
const userTail = ']}';

/** Prefix of the body of an entry that does not age. Saved in queues: never change it. */
export const notAgingPrefix = 'as it came ';

/** Prefix of the body of a refresh, before that one. Saved in queues: never change it. */
export const refreshPrefix = 'refresh ';

/** The entry as JSON in the service's own form, with the expirations as given. */
export function entryBody(entry: CheckedEntry): string {
  let body = entry.userHead;
  for (let index = 0; index < entry.blocks.length; index++) {
    if (index > 0) body += ',';
    body += entry.blocks[index]!.text;
  }
  return body + userTail;
}

/** The body as the queue stores it, without the event time, which has its own column. */
export function queuedBody(entry: CheckedEntry): string {
  return prefixOf(entry) + entryBody(entry);
}

function prefixOf({ ages, refresh }: CheckedEntry): string {
  return (refresh === true ? refreshPrefix : '') + (ages ? '' : notAgingPrefix);
}

/** Length of `queuedBody` in characters, without building it. */
export function bodyChars(entry: CheckedEntry): number {
  let chars = entry.userHead.length + userTail.length + entry.blocks.length - 1;
  chars += prefixOf(entry).length;
  for (const { text } of entry.blocks) chars += text.length;
  return chars;
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
