// Durable appends a second, 1,000 a commit, against a plain file with fdatasync.
import { perSecond } from '../support/report';
import type { Part } from '../support/setting';
import { startWorker } from '../support/worker';
import type { operations } from '../workers/appends';

const commits = 220;
const warmUp = 20;
const rowsPerCommit = 1000;

export const appends: Part = async ({ workspace }) => {
  const worker = startWorker<typeof operations>(workspace, 'appends');
  const { commitMs, writeMs } = await worker.call('run', workspace.folder, commits, rowsPerCommit);
  await worker.stop();
  const rate = (times: readonly number[]): number => {
    const counted = times.slice(warmUp);
    return (counted.length * rowsPerCommit * 1000) / counted.reduce((sum, each) => sum + each, 0);
  };
  const ratio = rate(commitMs) / rate(writeMs);
  return {
    title: 'Durable appends',
    rows: [
      {
        what: `appends/s, ${rowsPerCommit} a commit`,
        figure: perSecond(rate(commitMs)),
        against: `append + fdatasync of the bodies alone ${perSecond(rate(writeMs))}`,
        ratio,
        goal: '≥ 0.35 ×',
        reached: ratio >= 0.35,
      },
    ],
    more: 'Taking turns, commit by commit; the rate is of all commits together, checkpoints included.',
  };
};
