// What was purged or erased, and told to be so, does not leave any more.
import type { Played } from '../world/world';
import { userName } from './names';

/** A request that was made up before may have had to wait for its mark and for a token. */
const slackMs = 16_000;

export function givenUp({ history }: Played): string[] {
  const found: string[] = [];
  const goneMs = new Map<number, number>();
  const tell = (values: readonly { readonly value: number }[], atMs: number): void => {
    for (const { value } of values) if (!goneMs.has(value)) goneMs.set(value, atMs);
  };
  const byFirst = new Map(history.messages.flatMap(({ entries }) => entries.map((entry) => [entry.blocks[0]!.value, entry])));
  for (const { end, endMs, entries } of history.messages)
    if (end?.kind === 'settled')
      for (const { index, code } of end.rejected) if (code === 'purged' || code === 'erased') tell(entries[index]!.blocks, endMs);
  for (const { value, code, atMs } of history.late)
    if (code === 'purged' || code === 'erased') tell(byFirst.get(value)?.blocks ?? [], atMs);
  const firstMs = new Map<number, number>();
  for (const { users, sentMs, number } of history.requests) {
    for (const { user, domain, blocks } of users) {
      for (const { value } of blocks) {
        if (!firstMs.has(value)) firstMs.set(value, sentMs);
        const gone = goneMs.get(value) ?? Infinity;
        // What had left before may have to be sent once more.
        if (sentMs > gone + slackMs && firstMs.get(value)! > gone)
          found.push(`v${value} of ${userName(user, domain)} leaves in #${number} although it was given up`);
      }
    }
  }
  return found.slice(0, 3);
}
