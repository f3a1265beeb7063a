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
  const times = await worker.call('run', workspace.folder, commits, rowsPerCommit);
  const { commitMs, coldMs, encryptedMs, writeMs, readMs, encryptedReadMs } = times;
  await worker.stop();
  const rate = (each: readonly number[], skipped = warmUp): number => {
    const counted = each.slice(skipped);
    const rows = (counted.length * commits * rowsPerCommit) / each.length;
    return (rows * 1000) / counted.reduce((sum, ms) => sum + ms, 0);
  };
  const ratio = rate(commitMs) / rate(writeMs);
  const coldRatio = rate(coldMs) / rate(commitMs);
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
      {
        what: 'the same into a backlog, found by their users',
        figure: perSecond(rate(coldMs)),
        against: `in memory too ${perSecond(rate(commitMs))}`,
        ratio: coldRatio,
        goal: '≥ 0.5 ×',
        reached: coldRatio >= 0.5,
      },
      {
        what: 'the same with encryptIds',
        figure: perSecond(rate(encryptedMs)),
        against: `without ${perSecond(rate(commitMs))}`,
        ratio: rate(encryptedMs) / rate(commitMs),
      },
      {
        what: 'read back with encryptIds, 2,000 a page',
        figure: perSecond(rate(encryptedReadMs, 5)),
        against: `without ${perSecond(rate(readMs, 5))}`,
        ratio: rate(encryptedReadMs, 5) / rate(readMs, 5),
      },
    ],
    more: 'Taking turns, commit by commit; the rate is of all commits together, checkpoints included.',
  };
};
