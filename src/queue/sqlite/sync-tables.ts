// What a queue file knows of synced segments, in the thread of the queue: the calls of SyncStore, each carried out before it
// returns.

import type { DatabaseSync } from 'node:sqlite';

import type { ComparedPage, ComparisonRules, SyncedSegment, SyncState } from '../sync-store';
import { Comparison } from './comparison';
import { MemberTables } from './member-tables';
import type { RowCipher } from './row-cipher';
import { queueError } from './sqlite-errors';
import { removeStaging, stagingFilesOf, type StagingFiles } from './staging-files';
import { Suppressions } from './suppressions';

type DueRules = Pick<ComparisonRules, 'nowMinutes' | 'refreshPercent'>;

export interface SyncMethods {
  segments(nowMinutes: number): readonly SyncedSegment[];
  keep(segment: string): null;
  forget(segment: string): null;
  /** Deletes some rows of forgotten segments. Returns whether there are more. */
  deleteForgotten(): boolean;
  /** See `MemberTables.convert`. */
  convert(): boolean;
  setState(state: SyncState): null;
  /** Where the thread of a staging finds its files, and the key to encrypt its rows. */
  stagingOf(segment: string): { readonly files: StagingFiles; readonly key: Uint8Array | null };
  dropStaging(segment: string): null;
  staged(segment: string): 'none' | 'gathering' | 'prepared';
  compare(
    segment: string,
    rules: ComparisonRules,
    afterKey: string | null,
    mostRows: number,
    counting: boolean,
  ): ComparedPage;
  due(segment: string, rules: DueRules, afterKey: string | null, mostRows: number): ComparedPage;
  segmentsOf(memberKeys: readonly string[]): readonly { segment: string; memberKey: string }[];
  suppress(hashes: readonly string[], memberKeys: readonly string[], wallMs: number): null;
  suppressions(): readonly { hash: string; sinceWallMs: number }[];
  liftSuppressions(hashes: readonly string[]): null;
}

export type SyncMethod = keyof SyncMethods;

/** A call as plain data that can be sent to another thread. */
export type SyncCall = {
  [M in SyncMethod]: { readonly of: M; readonly args: Parameters<SyncMethods[M]> };
}[SyncMethod];
export type SyncCallOf<M extends SyncMethod> = Extract<SyncCall, { readonly of: M }>;

export class SyncTables implements SyncMethods {
  readonly members: MemberTables;
  readonly #suppressions: Suppressions;
  readonly #comparison: Comparison;

  constructor(
    db: DatabaseSync,
    private readonly path: string,
    private readonly cipher: RowCipher,
    suppressionKey: () => string | null,
    private readonly transaction: (work: () => void) => void,
  ) {
    this.members = new MemberTables(db, cipher, transaction);
    this.#suppressions = new Suppressions(db, suppressionKey);
    this.#comparison = new Comparison(db, cipher, this.members, this.#suppressions);
  }

  carryOut({ of, args }: SyncCall): unknown {
    return (this[of] as (...given: unknown[]) => unknown)(...args);
  }

  segments(nowMinutes: number): readonly SyncedSegment[] {
    return this.members.segments(nowMinutes);
  }

  keep(segment: string): null {
    this.members.keep(segment);
    return null;
  }

  forget(segment: string): null {
    this.members.forget(segment);
    return null;
  }

  deleteForgotten(): boolean {
    const [id] = this.members.forgotten();
    if (id === undefined) return false;
    removeStaging(stagingFilesOf(this.path, id));
    this.members.deleteForgotten(id);
    return true;
  }

  convert(): boolean {
    return this.members.convert();
  }

  setState(state: SyncState): null {
    this.members.setStates([state]);
    return null;
  }

  stagingOf(segment: string): { files: StagingFiles; key: Uint8Array | null } {
    return { files: this.#filesOf(segment), key: this.cipher.stagingKey };
  }

  dropStaging(segment: string): null {
    if (this.members.idOf(segment) !== undefined) removeStaging(this.#filesOf(segment));
    return null;
  }

  staged(segment: string): 'none' | 'gathering' | 'prepared' {
    if (this.members.idOf(segment) === undefined) return 'none';
    return this.#comparison.staged(this.#filesOf(segment));
  }

  compare(
    segment: string,
    rules: ComparisonRules,
    afterKey: string | null,
    mostRows: number,
    counting: boolean,
  ): ComparedPage {
    const files = this.#filesOf(segment);
    return this.#comparison.compare(files, this.#idOf(segment), rules, afterKey, mostRows, counting);
  }

  due(segment: string, rules: DueRules, afterKey: string | null, mostRows: number): ComparedPage {
    return this.members.due(segment, rules, afterKey, mostRows);
  }

  segmentsOf(memberKeys: readonly string[]): { segment: string; memberKey: string }[] {
    return this.members.segmentsOf(memberKeys);
  }

  suppress(hashes: readonly string[], memberKeys: readonly string[], wallMs: number): null {
    this.transaction(() => {
      this.#suppressions.add(hashes, wallMs);
      this.members.markErased(memberKeys);
    });
    return null;
  }

  suppressions(): { hash: string; sinceWallMs: number }[] {
    return this.#suppressions.all();
  }

  liftSuppressions(hashes: readonly string[]): null {
    this.transaction(() => this.#suppressions.lift(hashes));
    return null;
  }

  #filesOf(segment: string): StagingFiles {
    return stagingFilesOf(this.path, this.#idOf(segment));
  }

  #idOf(segment: string): number {
    const id = this.members.idOf(segment);
    if (id === undefined) throw queueError('failed', this.path, `the members of ${segment} are not kept`);
    return id;
  }
}
