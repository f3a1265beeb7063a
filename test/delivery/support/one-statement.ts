// What an entry says of one segment that it names by id and by code: it is one statement, in which only an add and a
// removal have an order, and blocks that name the segment in the same way.
import type { Block } from './fake-service';

/** Of the blocks of one entry that mean one segment, `said` so far: those that may still be the last beside `next`. */
export function stillOpen<B extends Block>(said: readonly B[], next: Block): B[] {
  return said.filter(
    (one) =>
      (one.seg_id === undefined) !== (next.seg_id === undefined) &&
      (one.expiration === -1) === (next.expiration === -1),
  );
}
