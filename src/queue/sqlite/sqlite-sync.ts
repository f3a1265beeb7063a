// Sync store of a queue file, as the main thread uses it: most calls go to the thread of the queue, those that stage rows to a
// thread for each run that gathers.

import { InTurn } from '../../in-turn';
import type {
  ComparedPage,
  ComparisonRules,
  StagedRow,
  SyncedSegment,
  SyncState,
  SyncStore,
} from '../sync-store';
import { StagingThread } from './staging-thread';
import { queueError } from './sqlite-errors';
import type { SyncCall, SyncCallOf, SyncMethod, SyncMethods } from './sync-tables';

export class SqliteSync implements SyncStore {
  readonly #threads = new Map<string, StagingThread>();
  /** Of each segment the calls about its staging: one after the other. */
  readonly #turns = new Map<string, InTurn>();

  constructor(
    private readonly path: string,
    private readonly send: (call: SyncCall) => Promise<unknown>,
  ) {}

  segments(): Promise<readonly SyncedSegment[]> {
    return this.#call('segments', [Math.floor(Date.now() / 60_000)]);
  }

  async keep(segment: string): Promise<void> {
    await this.#call('keep', [segment]);
  }

  forget(segment: string): Promise<void> {
    return this.#inOrder(segment, async () => {
      await this.#closeThread(segment);
      await this.#call('forget', [segment]);
      while (await this.#call('deleteForgotten', []));
    });
  }

  async setState(state: SyncState): Promise<void> {
    await this.#call('setState', [state]);
  }

  beginStaging(segment: string): Promise<void> {
    return this.#inOrder(segment, async () => {
      await this.#closeThread(segment);
      const thread = await this.#newThread(segment);
      try {
        await thread.begin();
      } catch (error) {
        await thread.close();
        throw error;
      }
    });
  }

  stage(segment: string, rows: readonly StagedRow[]): Promise<void> {
    return this.#inOrder(segment, async () => {
      if (rows.length > 0) await (await this.#thread(segment, ['gathering'])).stage(rows);
    });
  }

  endStaging(segment: string): Promise<number> {
    return this.#inOrder(segment, async () => {
      const users = await (await this.#thread(segment, ['gathering', 'prepared'])).end();
      await this.#closeThread(segment);
      return users;
    });
  }

  dropStaging(segment: string): Promise<void> {
    return this.#inOrder(segment, async () => {
      await this.#closeThread(segment);
      await this.#call('dropStaging', [segment]);
    });
  }

  staged(segment: string): Promise<'none' | 'gathering' | 'prepared'> {
    return this.#inOrder(segment, async () =>
      this.#threads.has(segment) ? 'gathering' : this.#call('staged', [segment]),
    );
  }

  async compare(
    segment: string,
    rules: ComparisonRules,
    afterKey: string | null,
    mostRows: number,
    counting: boolean,
  ): Promise<ComparedPage> {
    await this.#convert();
    return this.#call('compare', [segment, rules, afterKey, mostRows, counting]);
  }

  async due(
    segment: string,
    rules: Pick<ComparisonRules, 'nowMinutes' | 'refreshPercent'>,
    afterKey: string | null,
    mostRows: number,
  ): Promise<ComparedPage> {
    await this.#convert();
    return this.#call('due', [segment, rules, afterKey, mostRows]);
  }

  segmentsOf(memberKeys: readonly string[]): Promise<readonly { segment: string; memberKey: string }[]> {
    return this.#call('segmentsOf', [memberKeys]);
  }

  async suppress(hashes: readonly string[], memberKeys: readonly string[]): Promise<void> {
    await this.#call('suppress', [hashes, memberKeys, Date.now()]);
  }

  suppressions(): Promise<readonly { hash: string; sinceWallMs: number }[]> {
    return this.#call('suppressions', []);
  }

  async liftSuppressions(hashes: readonly string[]): Promise<void> {
    await this.#call('liftSuppressions', [hashes]);
  }

  /** Ends the threads once their calls are carried out; what they staged stays. */
  async close(): Promise<void> {
    await Promise.all([...this.#turns.values()].map((turn) => turn.over()));
    await Promise.all([...this.#threads.keys()].map((segment) => this.#closeThread(segment)));
  }

  /** Only then all members are in the order of the staged rows. */
  async #convert(): Promise<void> {
    while (await this.#call('convert', []));
  }

  async #thread(segment: string, states: readonly string[]): Promise<StagingThread> {
    const thread = this.#threads.get(segment);
    if (thread !== undefined) return thread;
    // Left by an earlier process, perhaps under another key.
    if (!states.includes(await this.#call('staged', [segment])))
      throw queueError('failed', this.path, `no run of ${segment} is open`);
    return this.#newThread(segment);
  }

  async #newThread(segment: string): Promise<StagingThread> {
    const data = await this.#call('stagingOf', [segment]);
    const thread: StagingThread = new StagingThread(data, () => {
      if (this.#threads.get(segment) === thread) this.#threads.delete(segment);
    });
    this.#threads.set(segment, thread);
    return thread;
  }

  async #closeThread(segment: string): Promise<void> {
    await this.#threads.get(segment)?.close();
  }

  #call<M extends SyncMethod>(of: M, args: SyncCallOf<M>['args']): Promise<ReturnType<SyncMethods[M]>> {
    return this.send({ of, args } as unknown as SyncCall) as Promise<ReturnType<SyncMethods[M]>>;
  }

  #inOrder<T>(segment: string, call: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(segment) ?? new InTurn();
    this.#turns.set(segment, turn);
    return turn.run(call);
  }
}
