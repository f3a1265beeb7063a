// Suppressions in a queue file.

import type { DatabaseSync } from 'node:sqlite';

import { suppressionHashOfMember } from '../suppression';

export class Suppressions {
  /** Null until it is read again. */
  #hashes: ReadonlySet<string> | null = null;
  readonly #statements: ReturnType<typeof prepareAll>;
  #key: string | null = null;

  /** `readKey`: null until there is a key of the hashes, which then never changes. */
  constructor(
    db: DatabaseSync,
    private readonly readKey: () => string | null,
  ) {
    this.#statements = prepareAll(db);
  }

  get any(): boolean {
    return this.#known().size > 0;
  }

  has(memberKey: string): boolean {
    this.#key ??= this.readKey();
    return this.#key !== null && this.#known().has(suppressionHashOfMember(this.#key, memberKey));
  }

  #known(): ReadonlySet<string> {
    return (this.#hashes ??= new Set(this.all().map(({ hash }) => hash)));
  }

  all(): { hash: string; sinceWallMs: number }[] {
    return this.#statements.all.all().map(({ hash, since_wall }) => ({
      hash: hash as string,
      sinceWallMs: since_wall as number,
    }));
  }

  // ── In the transaction of the caller ────────────────────────────────────────────────────────────────────────────

  add(hashes: readonly string[], wallMs: number): void {
    for (const hash of hashes) this.#statements.add.run(hash, wallMs);
    this.#hashes = null;
  }

  lift(hashes: readonly string[]): void {
    for (const hash of hashes) this.#statements.lift.run(hash);
    this.#hashes = null;
  }
}

function prepareAll(db: DatabaseSync) {
  return {
    all: db.prepare('SELECT hash, since_wall FROM suppression ORDER BY since_wall, hash'),
    add: db.prepare('INSERT OR IGNORE INTO suppression (hash, since_wall) VALUES (?, ?)'),
    lift: db.prepare('DELETE FROM suppression WHERE hash = ?'),
  };
}
