// Cache of serialised blocks, since a flow adds thousands of users to the same few segments.
import { blockText } from './block-text';
import { utf8Bytes } from './bytes';
import type { Block } from './entry';
import { isPlain } from './identifiers';

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
