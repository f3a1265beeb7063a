// What nodes use of `queue-postgres`.

export type { DatabasePlace, DatabaseQueues, OrphanedSharedQueue } from './database-queues';
export { PostgresLog } from './postgres-log';
export { placeOf, queuesOf } from './postgres-orphaned';
export { schemaOf } from './postgres-schema';
export { type DatabaseTest, testDatabase, type TestedDatabase } from './postgres-test';
export { meaningOf, travelsInClear } from './postgres-url';
