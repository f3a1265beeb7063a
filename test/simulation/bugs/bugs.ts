// All bugs that the simulation must find.
import type { Bug } from './bug';
import { flowBugs } from './flow-bugs';
import { orderBugs } from './order-bugs';
import { outcomeBugs } from './outcome-bugs';
import { quotaBugs } from './quota-bugs';
import { readingBugs } from './reading-bugs';
import { sharedBugs } from './shared-bugs';
import { syncBugs } from './sync-bugs';

export const bugs: readonly Bug[] = [
  ...readingBugs,
  ...quotaBugs,
  ...outcomeBugs,
  ...orderBugs,
  ...sharedBugs,
  ...flowBugs,
  ...syncBugs,
];
