// The sync of a segment against a plain engine: runs, refusals, sources that fail, restarts.
import assert from 'node:assert/strict';
import { NothingRefused } from '../../src/sync/segment-sync';
import { keys, minutesMs, part, plain, Process, rowsOf, synced, users } from './process';

describe('the sync of a segment', () => {
  it('adds everybody in the first run, and then sends only what changed', async () => {
    const process = await synced(100);
    assert.deepEqual(process.members, keys(users(100)));
    const { tookMs, ...first } = process.reports[0]!;
    assert.ok(tookMs >= 0);
    assert.deepEqual(first, {
      ...{ status: 'ended', run: 1, rows: 100, members: 100, added: 100, removed: 0, changed: 0 },
      ...{ refreshed: 0, unchanged: 0, invalid: 0, rejected: 0 },
    });
    const next = [...users(90, 10).slice(0, 89), { id: '100099', value: 7 }, { id: '200000' }];
    process.engine.appended.length = 0;
    await process.whole(next);
    const report = await process.finish();
    assert.deepEqual(process.members, keys(next));
    assert.equal(process.engine.appended.length, 12);
    const { added, removed, changed, unchanged, members } = report;
    assert.deepEqual([added, removed, changed, unchanged, members], [1, 10, 1, 89, 91]);
  });

  it('does nothing more when it is closed while it starts, and is closed once that step has ended', async () => {
    const process = new Process();
    const { clock, engine, sync } = process;
    const order: string[] = [];
    const started = sync.start().then(() => order.push(`start, ${engine.calls} call`));
    const closed = Promise.resolve()
      .then(() => sync.close())
      .then(() => order.push('close'));
    await clock.outcome(Promise.all([started, closed]));
    await clock.settle();
    assert.deepEqual([order, engine.calls, sync.isStarted], [['start, 1 call', 'close'], 1, false]);
  });

  it('keeps at most 10,000 changes of a large run in the queue, and reports once all have ended', async () => {
    const process = await new Process().start();
    await process.whole(users(25_000));
    assert.ok(process.engine.pending() >= 10_000 && process.engine.pending() <= 14_000);
    assert.equal(process.reports.length, 0);
    const { phase, changes } = process.sync.view();
    assert.deepEqual([phase, changes], ['sending', 25_000]);
    const report = await process.finish();
    assert.equal(report.added, 25_000);
    assert.deepEqual(process.members, keys(users(25_000)));
  });

  it('does not compare before the last change of an earlier run has ended', async () => {
    const process = await new Process().start();
    await process.whole(users(10));
    assert.equal(process.engine.pending(), 10);
    await process.whole(users(10, 5));
    assert.deepEqual(
      process.reports.map(({ status }) => status),
      ['replaced'],
    );
    assert.equal(process.sync.view().waitsFor, 10);
    await process.finish();
    await process.clock.settle();
    assert.equal(process.reports.length, 2);
    assert.deepEqual(process.members, keys(users(10, 5)));
  });

  describe('refuses, and changes nothing,', () => {
    const refusedOf = (process: Process): unknown => process.refused.at(-1)?.refused?.code;

    it('an empty audience', async () => {
      const process = await synced(10);
      await process.whole([]);
      assert.equal(refusedOf(process), 'empty');
      await process.clock.advance(minutesMs);
      assert.equal(process.members.length, 10);
      assert.equal(process.engine.pending(), 0);
    });

    it('an audience in which no row is usable', async () => {
      const process = await synced(10);
      const taken = process.sync.take({ part: null, options: plain, rows: rowsOf([], 8) });
      await process.clock.outcome(taken);
      await process.clock.settle();
      assert.deepEqual(process.refused.at(-1)?.refused, { code: 'empty', params: { rows: 8, invalid: 8 } });
      assert.equal(process.members.length, 10);
    });

    it('21 % removals, but not 20 %', async () => {
      const process = await synced(100);
      await process.whole(users(79));
      assert.deepEqual(process.refused.at(-1)?.refused, {
        code: 'too_many_removals',
        params: { removed: 21, known: 100, limit: 20 },
      });
      assert.equal(process.engine.pending(), 0);
      assert.equal(process.members.length, 100);
      await process.whole(users(80));
      assert.equal((await process.finish()).removed, 20);
    });

    it('more users than the limit in users', async () => {
      const process = await synced(10, { maxRemovals: { number: 2, unit: 'users' } });
      await process.whole(users(7));
      assert.equal(refusedOf(process), 'too_many_removals');
      await process.whole(users(8));
      assert.equal((await process.finish()).removed, 2);
    });

    it('half an audience whose rest never comes', async () => {
      const process = await synced(10);
      for (let index = 0; index < 5; index++) await process.take(part('a', index, 10), users(1, index));
      assert.equal(process.sync.view().phase, 'gathering');
      await process.clock.advance(61 * minutesMs);
      assert.deepEqual(process.refused.at(-1)?.refused, {
        code: 'timed_out',
        params: { rows: 5, minutes: 60 },
      });
      assert.equal(process.members.length, 10);
      // What comes later is of an audience that is over.
      assert.equal(await process.take(part('a', 9, 10, true), users(1, 9)), 'late');
      assert.equal(process.sync.view().phase, 'idle');
    });

    it('an audience with a hole, even if its source says that it is complete', async () => {
      const process = await synced(10);
      await process.take(part('a', 0), users(5));
      await process.take(part('a', 2, null, true), users(4, 6));
      assert.deepEqual(process.refused.at(-1)?.refused, { code: 'parts_missing', params: { missing: 1 } });
      assert.equal(process.members.length, 10);
    });

    it('the audience of a source that fails in the middle', async () => {
      const process = await synced(10);
      await process.take(part('a', 0), users(5));
      await process.clock.outcome(process.sync.sourceFailed('connection lost', null));
      assert.deepEqual(process.refused.at(-1)?.refused, {
        code: 'source_failed',
        params: { reason: 'connection lost' },
      });
      assert.equal(await process.take(part('a', 1, 2, true), users(5, 5)), 'late');
      assert.equal(process.members.length, 10);
    });

    it('the first half when a new run begins in the middle', async () => {
      const process = await synced(10);
      await process.take(part('a', 0, 2), users(5));
      await process.take(part('b', 0, 2), users(5));
      assert.deepEqual(process.refused.at(-1)?.refused, { code: 'replaced', params: { rows: 5 } });
      assert.equal(await process.take(part('a', 1, 2), users(5, 5)), 'late');
      await process.take(part('b', 1, 2), users(6, 5));
      assert.equal((await process.finish()).added, 1);
    });

    it('an audience whose rows cannot be stored', async () => {
      const process = await synced(10);
      await process.take(part('a', 0, 2), users(5));
      process.engine.failure = new Error('disk full');
      const taken = process.sync.take({ part: part('a', 1, 2), options: plain, rows: rowsOf(users(5, 5)) });
      await process.rejects(taken, /disk full/);
      assert.equal(process.refused.at(-1)?.refused?.code, 'not_stored');
      assert.equal(process.members.length, 10);
    });
  });

  describe('gathers', () => {
    it('parts in any order, and twice', async () => {
      const process = await new Process().start();
      await process.take(part('a', 2, 3), users(1, 2));
      await process.take(part('a', 1, 3), users(1, 1));
      await process.take(part('a', 1, 3), users(1, 1));
      assert.equal(process.sync.view().phase, 'gathering');
      await process.take(part('a', 0, 3), users(1));
      await process.finish();
      assert.deepEqual(process.members, keys(users(3)));
    });

    it('lines of a file, whose count comes last', async () => {
      const process = await new Process().start();
      await process.take(part('a', 0), users(1));
      await process.take(part('a', 1), users(1, 1));
      await process.take(part('a', 2, 3), users(1, 2));
      await process.finish();
      assert.equal(process.members.length, 3);
    });

    it('an audience that replaces another one, whose end comes late and without a name', async () => {
      const process = await synced(20);
      await process.take(part('a', 0), users(10));
      await process.take(part('b', 0), users(10));
      await process.take(part('a', 1), users(10, 10));
      await process.take(part(null, null, null, true), []);
      assert.equal(process.sync.view().phase, 'gathering');
      await process.take(part('b', 1), users(9, 10));
      await process.take(part(null, null, null, true), []);
      assert.equal((await process.finish()).removed, 1);
      assert.deepEqual(process.members, keys(users(19)));
    });

    it('the next audience, though the end of a replaced one never came', async () => {
      const process = await synced(20);
      await process.take(part('a', 0), users(10));
      await process.take(part('b', 0), users(20));
      await process.take(part(null, null, null, true), []);
      await process.clock.advance(61 * minutesMs);
      assert.equal(process.refused.at(-1)!.refused!.code, 'timed_out');
      await process.take(part('c', 0), users(19));
      await process.take(part(null, null, null, true), []);
      assert.equal((await process.finish()).removed, 1);
    });

    it('many messages, ten thousand rows for a call of the store', async () => {
      const process = await new Process().start();
      await process.take(part('a', 0), users(1));
      const before = process.engine.calls;
      for (let at = 1; at < 250; at++) await process.take(part('a', at), users(100));
      assert.equal(process.engine.calls - before, 2);
      await process.take(part('a', 250, 251), users(1, 100));
      await process.finish();
      assert.equal(process.members.length, 101);
    });

    it('rows of a csv node, which ends an audience with a message without parts', async () => {
      const process = await new Process().start();
      await process.take(part('a', 0), users(1));
      await process.take(part('a', 1), users(1, 1));
      await process.take(part(null, null, null, true), []);
      await process.finish();
      assert.equal(process.members.length, 2);
    });

    it('audiences of a source that gives all of them one name', async () => {
      const process = await new Process().start();
      await process.take(part('always', 0, 2), users(1));
      await process.take(part('always', 1, 2), users(1, 1));
      await process.finish();
      await process.take(part('always', 0, 2), users(1, 1));
      assert.equal(process.sync.view().phase, 'gathering');
      // The source fails, and begins anew.
      await process.take(part('always', 0, 2), users(2));
      assert.equal(process.refused.at(-1)?.refused?.code, 'replaced');
      await process.take(part('always', 1, 2), users(1, 2));
      await process.finish();
      assert.deepEqual(process.members, keys(users(3)));
    });

    it('the last row of a user', async () => {
      const process = await new Process().start();
      await process.whole([
        { id: '1', value: 1 },
        { id: '1', value: 2 },
      ]);
      assert.equal((await process.finish()).added, 1);
      assert.equal(process.engine.atService.get(':1'), 2);
    });
  });

  describe('by control', () => {
    it('applies a refused run by force', async () => {
      const process = await synced(100);
      await process.whole(users(10));
      await process.clock.outcome(process.sync.force());
      assert.equal((await process.finish()).removed, 90);
      assert.deepEqual(process.members, keys(users(10)));
      await process.rejects(process.sync.force(), NothingRefused);
    });

    it('keeps a refused run for the timeout, also over a restart', async () => {
      const process = await synced(100);
      await process.whole(users(10));
      await process.restart();
      assert.equal(process.sync.view().problem?.code, 'too_many_removals');
      await process.clock.advance(61 * minutesMs);
      assert.equal(process.sync.view().phase, 'idle');
      await process.rejects(process.sync.force(), NothingRefused);
    });

    it('counts a previewed run, sends nothing, and applies it by force', async () => {
      const process = await synced(100);
      await process.whole(users(100, 10), { preview: true });
      const { status, added, removed, unchanged } = process.reports.at(-1)!;
      assert.deepEqual([status, added, removed, unchanged], ['preview', 10, 10, 90]);
      assert.equal(process.engine.pending(), 0);
      await process.clock.outcome(process.sync.force());
      assert.equal((await process.finish()).added, 10);
    });

    it('previews the next run, once', async () => {
      const process = await synced(10);
      await process.clock.outcome(process.sync.preview());
      await process.restart();
      await process.whole(users(11));
      assert.equal(process.reports.at(-1)!.status, 'preview');
      await process.whole(users(12));
      assert.equal((await process.finish()).added, 2);
    });

    it('resends everybody', async () => {
      const process = await synced(10);
      await process.clock.outcome(process.sync.resend());
      await process.whole(users(10));
      assert.equal((await process.finish()).refreshed, 10);
      await process.whole(users(10));
      assert.equal((await process.finish()).unchanged, 10);
    });

    it('forgets what it knows, so that the next run is the first one', async () => {
      const process = await synced(10);
      await process.clock.outcome(process.sync.forget());
      assert.equal(process.sync.view().members, 0);
      await process.whole(users(2));
      const report = await process.finish();
      assert.deepEqual([report.run, report.added, report.removed], [1, 2, 0]);
    });
  });

  describe('after a crash', () => {
    it('goes on behind the last chunk of a run', async () => {
      const process = await new Process().start();
      await process.whole(users(25_000));
      await process.restart();
      const report = await process.finish();
      assert.equal(report.added, 25_000);
      assert.equal(process.engine.appended.length, 25_000);
      assert.deepEqual(process.members, keys(users(25_000)));
    });

    it('drops a run whose last part had not come', async () => {
      const process = await synced(10);
      await process.take(part('a', 0, 2), users(5));
      await process.restart();
      assert.equal(process.refused.at(-1)?.refused?.code, 'interrupted');
      assert.equal(process.members.length, 10);
      assert.equal(process.sync.view().phase, 'idle');
    });

    it('compares a run again that was being counted', async () => {
      const process = await new Process().start();
      await process.whole(users(10));
      await process.whole(users(12));
      await process.restart();
      assert.equal((await process.finish()).added, 2);
    });
  });

  it('does not offer rejected users again until their row changes', async () => {
    const process = await new Process().start();
    await process.whole(users(10));
    await process.deliver((key) => key === ':100003');
    assert.deepEqual(
      process.rejected.map(({ code }) => code),
      ['refused'],
    );
    const { added, rejected, members } = process.reports.at(-1)!;
    assert.deepEqual([added, rejected, members], [9, 1, 9]);
    process.engine.appended.length = 0;
    await process.whole(users(10));
    const { rejected: before, unchanged } = await process.finish();
    assert.deepEqual([before, unchanged, process.engine.appended.length], [1, 9, 0]);
    await process.whole([...users(3), { id: '100003', value: 1 }, ...users(6, 4)]);
    assert.equal((await process.finish()).added, 1);
  });

  it('removes a member whose change was rejected, once no row has the user', async () => {
    const process = await synced(10);
    const changed = [...users(3), { id: '100003', value: 1 }, ...users(6, 4)];
    await process.whole(changed);
    await process.deliver((key) => key === ':100003');
    assert.deepEqual(process.members, keys(users(10)));
    await process.whole(changed);
    const { rejected, unchanged } = await process.finish();
    assert.deepEqual([rejected, unchanged], [1, 9]);
    await process.whole([...users(3), ...users(6, 4)]);
    assert.equal((await process.finish()).removed, 1);
    assert.equal(process.engine.atService.has(':100003'), false);
  });

  it('never removes in the mode “add”', async () => {
    const process = await synced(10, { removes: false });
    await process.whole(users(1, 20));
    assert.equal((await process.finish()).removed, 0);
    assert.equal(process.members.length, 11);
  });

  it('tries again while the queue does not work', async () => {
    const process = await new Process().start();
    process.engine.failure = null;
    const taken = process.sync.take({ part: null, options: plain, rows: rowsOf(users(10)) });
    await process.clock.outcome(taken);
    await process.clock.settle();
    assert.equal(process.engine.pending(), 10);
    process.engine.failure = new Error('disk full');
    await process.deliver();
    assert.match(String(process.sync.view().trouble), /disk full/);
    await process.clock.advance(1_100);
    assert.equal(process.sync.view().trouble, null);
    assert.equal(process.reports.length, 1);
  });

  describe('renews memberships', () => {
    const dayMs = 24 * 60 * minutesMs;

    it('before they expire, without a run, and stops when the last run is older than the expiration', async () => {
      const process = await synced(10);
      const days = async (count: number): Promise<void> => {
        for (let hour = 0; hour < count * 24; hour++) {
          await process.clock.advance(dayMs / 24);
          await process.deliver();
        }
      };
      await days(22);
      assert.equal(process.engine.appended.length, 10);
      await days(3);
      assert.equal(process.engine.appended.length, 20, 'due after 22.5 days');
      await days(100);
      assert.equal(process.engine.appended.length, 20, 'the last run is too old');
      assert.equal(process.sync.view().nextRefreshWallMs, null);
    });

    it('not at all if it is off', async () => {
      const process = await synced(10, { refreshPercent: 0 });
      assert.equal(process.sync.view().nextRefreshWallMs, null);
      await process.clock.advance(29 * dayMs);
      assert.equal(process.engine.appended.length, 10);
    });
  });
});
