// The order in which the blocks of one entry go.
import type { Block } from '../../entry/entry';

/**
 * An entry is one statement: its blocks by id go together, and so do those by code. The two kinds never share a request,
 * so in turn they would need one each. Only an add and a removal keep their order, since they may be the same segment.
 */
export function groupedBlocks(blocks: readonly Block[]): readonly Block[] {
  let kinds = 1;
  for (let at = 1; at < blocks.length; at++) if (blocks[at]!.kind !== blocks[at - 1]!.kind) kinds++;
  if (kinds <= 2) return blocks;
  const grouped: Block[] = [];
  let { kind } = blocks[0]!;
  for (let from = 0; from < blocks.length;) {
    const removes = isRemoval(blocks[from]!);
    let to = from;
    while (to < blocks.length && isRemoval(blocks[to]!) === removes) to++;
    // What goes on with the kind that went before needs no further request.
    for (let at = from; at < to; at++) if (blocks[at]!.kind === kind) grouped.push(blocks[at]!);
    for (let at = from; at < to; at++) if (blocks[at]!.kind !== kind) grouped.push(blocks[at]!);
    kind = grouped.at(-1)!.kind;
    from = to;
  }
  return grouped;
}

function isRemoval(block: Block): boolean {
  return block.expiration === -1;
}
