// Model: everything that must hold after a run, whatever happened in it. This folder shares no code with the
// delivery engine.
import type { Played } from '../world/world';
import { bounds } from './bounds';
import { counters } from './counters';
import { dryRuns } from './dry-run';
import { discarded } from './discarded';
import { held } from './held';
import { instant } from './instant';
import { lastWins } from './last-wins';
import { delays } from './late';
import { logins } from './logins';
import { outcomes } from './outcomes';
import { quota } from './quota';
import { synced } from './synced';

export interface Violation {
  readonly promise: string;
  readonly text: string;
}

const promises: readonly (readonly [string, (played: Played) => string[]])[] = [
  ['bounded, and progress', bounds],
  ['one outcome for every entry', (played) => [...outcomes(played), ...counters(played)]],
  ['never over quota', quota],
  ['the last one wins', lastWins],
  ['delays never extend membership', delays],
  ['ten logins in five minutes', logins],
  ['deleted entries are not sent', discarded],
  ['removals first, and at once', instant],
  ['adds to new segments wait, and nothing else', held],
  ['a dry run shows what would be sent', dryRuns],
];

const syncedPromise = ['a synced segment is what its audience says', synced] as const;

/** Promises that are also checked of a plan with a synced segment: the others know only messages. */
const withSync: ReadonlySet<string> = new Set([
  'bounded, and progress',
  'never over quota',
  'ten logins in five minutes',
]);

export function violationsOf(played: Played): Violation[] {
  const isSynced = played.plan.setup.syncedSegment !== undefined;
  const checked = isSynced
    ? [...promises.filter(([promise]) => withSync.has(promise)), syncedPromise]
    : promises;
  const found = checked.flatMap(([promise, check]) => check(played).map((text) => ({ promise, text })));
  return [
    ...played.history.complaints.map((text) => ({ promise: 'nothing goes wrong inside', text })),
    ...found,
  ];
}
