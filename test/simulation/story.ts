// Story of a failing seed: the promise, the flow, and the events with their times.
import type { Result } from './run-seed';

const mostLines = 60;

export function story({ seed, plan, violations, log }: Result): string {
  const { setup } = plan;
  const members = setup.members.map(
    ({ id, queue, limits }) =>
      `member ${id} (${queue}, ${limits.postsPerSecond} posts and ${limits.usersPerSecond} users a second)`,
  );
  const broken = violations.slice(0, 5).map(({ promise, text }) => `  ${promise}: ${text}`);
  const skipped = Math.max(0, log.length - mostLines);
  return [
    `seed ${seed} (${plan.shape}): ${violations.length} broken`,
    ...broken,
    `  ${setup.instances} instances, ${members.join(', ')}; ${plan.actions.length} actions left`,
    ...log.slice(0, mostLines / 2).map((line) => `    ${line.slice(0, 200)}`),
    ...(skipped > 0 ? [`    … ${skipped} more …`] : []),
    ...log
      .slice(Math.max(mostLines / 2, log.length - mostLines / 2))
      .map((line) => `    ${line.slice(0, 200)}`),
  ].join('\n');
}
