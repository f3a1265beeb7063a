// What the tables of the synced segments mean in every store, and the statements that the stores share.

import type { MemberChange } from './sync-store';

/** Codes of the states of a member. Part of the stores: never change them. */
export const memberCodes = { member: 0, live: 1, rejected: 2 } as const satisfies Record<
  Exclude<MemberChange['state'], 'gone'>,
  number
>;

/** The end under which rejected users are counted. */
export const rejectedEnd = -1;

/**
 * Epoch minutes in which a membership runs out; 0: never, also where the member's default is unknown. Members are
 * counted by their ends.
 */
export function endOf(row: {
  readonly state: number;
  readonly since: number;
  readonly expiration: number | null;
}): number {
  if (row.state === memberCodes.rejected) return rejectedEnd;
  return row.expiration === null || row.expiration === 0 ? 0 : row.since + row.expiration;
}
