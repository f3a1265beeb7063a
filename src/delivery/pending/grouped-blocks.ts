// Order in which the blocks of one entry are sent.
import type { Block } from '../../entry/entry';

/**
 * Groups the blocks of one entry by kind: ids together, codes together. The two kinds never share a request, so
 * each change of kind would cost another request. An add and a removal keep their order, since they may name
 * the same segment.
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
    // First the blocks of the previous group's kind: they need no further request.
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
