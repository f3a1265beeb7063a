// What nodes use of `queue`.

export { HourRing, hourMs, hourOf } from './hour-ring';
export { erase, lookAt, moveAway, type Moved, purge, storeOf, type TakeMoved } from './orphaned-queue';
export { SqliteStore } from './sqlite/sqlite-store';
export { QueueError, type QueueStore, type Source } from './store';
