// Codes of lanes and states in every store. Part of the stores: never change them.

import type { Lane, RowState } from './store';

export const laneCodes = { add: 0, removal: 1, bulk: 2 } as const satisfies Record<Lane, number>;
export const lanesByCode = byCode(laneCodes);
const stateCodes = { waiting: 0, repeat: 1 } as const satisfies Record<RowState, number>;
export const statesByCode = byCode(stateCodes);

function byCode<Name extends string>(codes: Readonly<Record<Name, number>>): readonly Name[] {
  return (Object.keys(codes) as Name[]).sort((a, b) => codes[a] - codes[b]);
}
