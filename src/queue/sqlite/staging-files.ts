// Files of a run beside its queue file (sync.md, "Staging"): the rows as they came, and the same sorted. A file with one of
// these names is complete.

import { existsSync, rmSync } from 'node:fs';

export interface StagingFiles {
  readonly gathered: string;
  readonly sorted: string;
  /** A file that is not complete. */
  readonly draft: string;
}

export function stagingFilesOf(queuePath: string, id: number): StagingFiles {
  const base = `${queuePath}-sync-${id}`;
  return { gathered: `${base}.gathered`, sorted: `${base}.sorted`, draft: `${base}.draft` };
}

export function removeStaging({ gathered, sorted, draft }: StagingFiles): void {
  // Never the -wal file alone: its rows would be missing, and a run without them would remove users.
  for (const path of [draft, gathered, sorted])
    for (const suffix of ['', '-wal', '-journal']) rmSync(`${path}${suffix}`, { force: true });
}

export function stagedIn({ gathered, sorted }: StagingFiles): 'none' | 'gathering' | 'prepared' {
  if (existsSync(sorted)) return 'prepared';
  return existsSync(gathered) ? 'gathering' : 'none';
}
