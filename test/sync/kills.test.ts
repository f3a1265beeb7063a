// The sync of a segment after kills and failures: whatever the state and the staged rows say of each other, it goes on.
import assert from 'node:assert/strict';
import type { OpenRun } from '../../src/sync/state';
import { newState, noChanges, noCounts } from '../../src/sync/state';
import { FakeClock } from '../delivery/support/fake-clock';
import { PlainEngine, type Trouble } from './plain-engine';
import { keys, plain, Process, rowsOf, synced, users } from './process';

/** Few enough leave for every run to be applied. Each audience has its own size. */
const audiences = [users(40), users(41, 2), users(42, 4), users(43, 6)] as const;

/** Plays audiences, some of which replace one that is settling, or counting; the trouble comes on the way. */
async function played(trouble: Trouble): Promise<Process> {
  const clock = new FakeClock();
  const process = await new Process(clock, new PlainEngine(clock, 'i10001')).start();
  const [first, ...next] = audiences;
  const take = async (rows: typeof first): Promise<void> => {
    process.sync.take({ part: null, options: plain, rows: rowsOf(rows) }).catch(() => undefined);
    await clock.settle();
  };
  process.engine.calls = 0;
  process.engine.trouble = trouble;
  await take(first);
  await process.deliver();
  for (const rows of next) await take(rows);
  for (let turn = 0; turn < 3; turn++) await process.deliver();
  process.sync.forget().catch(() => undefined);
  await clock.settle();
  await take(audiences[2]);
  await process.deliver();
  return process;
}

/** The next audience is applied, and nothing is left over. */
async function goesOn(process: Process): Promise<void> {
  // Failed calls are tried again.
  await process.clock.advance(10_000);
  for (let turn = 0; turn < 3; turn++) await process.deliver();
  process.engine.trouble = null;
  const { phase } = process.sync.view();
  assert.equal(phase, 'idle');
  assert.equal(await process.engine.store.staged('i10001'), 'none');
  const last = users(44, 6);
  await process.whole(last);
  const report = await process.finish();
  assert.deepEqual([report.status, report.rows], ['ended', 44]);
  for (const key of keys(last)) assert.ok(process.members.includes(key));
  assert.equal(process.engine.pending(), 0);
}

describe('the sync of a segment', function () {
  this.timeout(60_000);

  for (const kind of ['killed before', 'killed after'] as const)
    it(`goes on after a kill at any moment: ${kind} a call of the store`, async () => {
      for (let call = 1, reached = true; reached; call++) {
        const process = await played({ kind, call, calls: Infinity });
        reached = process.engine.calls >= call;
        process.engine.trouble = null;
        await process.restart();
        // Only a run whose rows were still coming is interrupted.
        const refused = process.refused.map((report) => [report.refused?.code, report.rows]);
        assert.deepEqual(refused, refused.length === 0 ? [] : [['interrupted', 0]], `call ${call}`);
        await goesOn(process);
      }
    });

  for (const calls of [1, 2, 3, 5])
    it(`goes on after failures at any moment: of ${calls} calls of the store`, async () => {
      for (let call = 1, reached = true; reached; call++) {
        const process = await played({ kind: 'fails', call, calls });
        reached = process.engine.calls >= call;
        await goesOn(process);
        const runs = process.refused.map(({ run, rows }) => `${run} of ${rows} rows`);
        assert.equal(new Set(runs).size, runs.length, `call ${call}: one report for each run`);
      }
    });

  it('counts from the start after a run that was forgotten while it was counted', async () => {
    let process = await new Process().start();
    for (let call = 1; process.sync.view().counted === 0; call++) {
      process = await new Process().start();
      process.engine.calls = 0;
      process.engine.trouble = { kind: 'fails', call, calls: 1 };
      await process.whole(users(5_000)).catch(() => undefined);
    }
    await process.clock.outcome(process.sync.forget());
    await process.whole(users(10), { preview: true });
    const { run, added } = process.reports.at(-1)!;
    assert.deepEqual([run, added], [1, 10]);
  });

  describe('starts from any state with any staged rows:', () => {
    const phases = [null, 'gathering', 'gathered', 'counting', 'refused', 'sending', 'settling'] as const;
    /** What becomes of a run whose rows are: none, gathering, prepared. */
    const expected = {
      none: ['idle', 'interrupted', 'interrupted', 'interrupted', 'interrupted', 'interrupted', 'settled'],
      gathering: ['idle', 'interrupted', 'applied', 'interrupted', 'interrupted', 'interrupted', 'settled'],
      prepared: ['idle', 'interrupted', 'applied', 'applied', 'refused', 'applied', 'settled'],
    } as const;
    for (const staged of ['none', 'gathering', 'prepared'] as const)
      for (const [at, phase] of phases.entries())
        it(`${phase ?? 'no open run'}, ${staged}`, async () => {
          const how = expected[staged][at]!;
          const process = await synced(10);
          await leaves(process, phase, staged);
          await process.restart();
          await process.deliver();
          const isApplied = how === 'applied';
          assert.deepEqual(process.members, keys(isApplied ? users(9) : users(10)));
          const ended = process.reports.slice(1).map(({ status, removed }) => [status, removed]);
          assert.deepEqual(ended, isApplied ? [['ended', 1]] : how === 'settled' ? [['ended', 0]] : []);
          const refused = process.refused.map((report) => [report.refused?.code, report.removed]);
          assert.deepEqual(refused, how === 'interrupted' ? [['interrupted', 0]] : []);
          assert.equal(process.sync.view().phase, how === 'refused' ? 'refused' : 'idle');
          const rest = how === 'refused' ? 'prepared' : 'none';
          assert.equal(await process.engine.store.staged('i10001'), rest);
          await process.whole(users(11));
          assert.equal((await process.finish()).members, 11);
        });
  });
});

/** As an earlier process left it: a run of nine rows, of which one member is missing. */
async function leaves(
  { engine, clock }: Process,
  phase: OpenRun['phase'] | null,
  staged: 'none' | 'gathering' | 'prepared',
): Promise<void> {
  const { store } = engine;
  const segment = 'i10001';
  const run: Omit<OpenRun, 'phase'> = {
    ...{ run: 2, startedWallMs: clock.wallMs(), touchedWallMs: clock.wallMs(), options: plain, rows: 9 },
    ...{ invalid: 0, noConsent: null, users: 9, expiration: 43_200, problem: null, counted: noCounts },
    ...{ cursor: null, appended: noChanges, rejected: noChanges },
  };
  const open = phase === null ? null : { ...run, phase };
  await store.setState({ segment, text: JSON.stringify({ ...newState, runs: 2, open }) });
  if (staged === 'none') return;
  await store.beginStaging(segment);
  await store.stage(segment, rowsOf(users(9))[0]!.staged);
  if (staged === 'prepared') await store.endStaging(segment);
}
