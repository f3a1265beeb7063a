// Fills a queue file with the members of a synced segment, as the runs before have left them.
import { segment, expirationMinutes, memberId } from '../support/audience';
import { memberKeyOf, newState, SqliteStore } from './package';
import { serve } from './serve';

const perCommit = 10_000;

export const operations = {
  async fill(file: string, members: number): Promise<void> {
    const store = new SqliteStore(file);
    await store.open();
    const key = `i${segment}`;
    await store.sync!.keep(key);
    const terms = {
      segment: key,
      state: 'member',
      sinceMinutes: Math.floor(Date.now() / 60_000),
      value: null,
      expiration: expirationMinutes,
    } as const;
    for (let from = 0; from < members; from += perCommit) {
      const numbers = Array.from({ length: Math.min(perCommit, members - from) }, (_, at) => from + at);
      await store.commit({
        members: numbers.map((number) => ({ ...terms, memberKey: memberKeyOf(null, memberId(number)) })),
      });
    }
    // As after a run, so that the next one is not the first.
    const report = {
      ...{ status: 'ended', run: 1, rows: members, members, added: members, removed: 0, changed: 0 },
      ...{ refreshed: 0, unchanged: 0, invalid: 0, rejected: 0, tookMs: 1 },
    } as const;
    const ended = { wallMs: Date.now(), expiration: expirationMinutes, report };
    await store.sync!.setState({ segment: key, text: JSON.stringify({ ...newState, runs: 1, ended }) });
    await store.close();
  },
};
serve(operations);
