// Orphaned queue files in Node-RED's user directory: their accounts and numbers of entries.

import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { EngineInfo } from '../../../src/delivery/index';
import { lookAt } from '../../../src/queue/index';
import type { DatabasePlace } from '../../../src/queue-postgres/index';
import { leftBy } from './left-entries';
import { originIn, queueFile, queueFolder, bufferFile } from './queue-file';
import { troubleOf, type Trouble } from './trouble';

/** A queue that no account uses, or a database that could not be searched for such queues. */
export interface ShownOrphaned extends Partial<DatabasePlace> {
  /** Names it in every call: its file without the folder, or its database and schema. */
  readonly key: string;
  /** `buffer` is the store-and-forward buffer of a shared queue. */
  readonly kind: 'disk' | 'buffer' | 'shared' | 'database';
  /** The service and member of its entries, as far as a file's name shows them. */
  readonly origin: string;
  readonly member: string;
  readonly waiting: number;
  /** Epoch ms; null without queued entries. */
  readonly oldestAppendedWallMs: number | null;
  /** Node ids of the accounts whose entries they are. */
  readonly accounts: readonly string[];
  /** The error on reading it, or null. */
  readonly problem: Trouble | null;
}

/** Queued entries for a former address or member of an account. */
export type Behind = Pick<ShownOrphaned, 'origin' | 'member' | 'waiting'>;

const named = /^(.+)-(\d+)-[0-9a-f]{8}(-kept)?\.sqlite$/;

/** Shortest time between two scans, since a scan opens each file. */
const lookEveryMs = 30_000;

export class OrphanedQueues {
  private seen: readonly ShownOrphaned[] = [];
  private seenAtMs = -Infinity;
  private seenUsed = '';

  constructor(
    private readonly userDir: string,
    private readonly engines: () => readonly EngineInfo[],
    /** What encrypted entries can be opened with. */
    readonly secrets: () => readonly string[] = () => [],
    private readonly monoMs: () => number = () => performance.now(),
  ) {}

  /** Queues with entries, and unreadable ones. */
  list(): readonly ShownOrphaned[] {
    const used = this.used();
    const text = [...used].sort().join('\n');
    if (this.monoMs() < this.seenAtMs + lookEveryMs && text === this.seenUsed) return this.seen;
    this.seenAtMs = this.monoMs();
    this.seenUsed = text;
    this.seen = this.files()
      .filter((file) => !used.has(file))
      .map((file) => this.look(file))
      .filter(({ waiting, problem }) => waiting > 0 || problem !== null);
    // A queue that was left a moment ago may still be closing.
    if (this.seen.some(({ problem }) => problem?.trouble === 'locked')) this.lookAgain();
    return this.seen;
  }

  /** Those with entries of an account, which has another address or member now; also those that are still open. */
  behind(account: string): readonly Behind[] {
    const open = this.engines()
      .filter(
        ({ queue, accounts, left }) =>
          queue !== 'memory' && left.includes(account) && !accounts.some(({ id }) => id === account),
      )
      .map((info) => ({ origin: info.origin, member: info.member, waiting: leftBy(account, info) }));
    const files = this.list().filter(({ accounts }) => accounts.includes(account));
    return [...open, ...files].filter(({ waiting }) => waiting > 0);
  }

  /** An action has changed a queue. */
  lookAgain(): void {
    this.seenAtMs = -Infinity;
  }

  /** The path of an orphaned file, or null: names come from a browser. */
  pathOf(file: unknown): string | null {
    if (typeof file !== 'string' || basename(file) !== file || !named.test(file)) return null;
    return this.files().includes(file) && !this.used().has(file)
      ? join(queueFolder(this.userDir), file)
      : null;
  }

  /** The path of an orphaned store-and-forward buffer, or null. */
  keptFor({ origin, member }: Pick<EngineInfo, 'origin' | 'member'>): string | null {
    return this.pathOf(basename(bufferFile(this.userDir, origin, member)));
  }

  /** The engine that still has the file open without an account; null for none. */
  heldBy(file: unknown): EngineInfo | null {
    const held = this.engines().find((info) => info.queue === 'disk' && this.fileOf(info) === file);
    return held?.accounts.length === 0 ? held : null;
  }

  /** The paths of all of them. */
  paths(): string[] {
    const used = this.used();
    return this.files()
      .filter((file) => !used.has(file))
      .map((file) => join(queueFolder(this.userDir), file));
  }

  private files(): string[] {
    try {
      return readdirSync(queueFolder(this.userDir)).filter((file) => named.test(file));
    } catch {
      // No queue was ever on disk.
      return [];
    }
  }

  private used(): ReadonlySet<string | null> {
    return new Set(this.engines().map((info) => this.fileOf(info)));
  }

  private fileOf({ queue, origin, member }: EngineInfo): string | null {
    if (queue === 'memory') return null;
    return basename((queue === 'disk' ? queueFile : bufferFile)(this.userDir, origin, member));
  }

  private look(key: string): ShownOrphaned {
    const [, readable = '', member = '', kept] = named.exec(key) ?? [];
    const kind = kept === undefined ? 'disk' : 'buffer';
    const shown = { key, kind, origin: originIn(readable), member } as const;
    try {
      return { ...shown, ...lookAt(join(queueFolder(this.userDir), key)), problem: null };
    } catch (error) {
      return { ...shown, waiting: 0, oldestAppendedWallMs: null, accounts: [], problem: troubleOf(error) };
    }
  }
}
