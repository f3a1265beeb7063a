// The numbers that stand for lanes and states in every store. Part of the stores: never change them.

import type { Lane, RowState } from './outbox';

export const laneCodes = { add: 0, removal: 1 } as const satisfies Record<Lane, number>;
export const lanesByCode: readonly Lane[] = ['add', 'removal'];
export const stateCodes = { waiting: 0, shield: 1, repeat: 2 } as const satisfies Record<RowState, number>;
export const statesByCode: readonly RowState[] = ['waiting', 'shield', 'repeat'];
