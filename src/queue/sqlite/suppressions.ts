// Suppressions in a queue file.

import type { DatabaseSync } from 'node:sqlite';

import { suppressionHashOfMember } from '../suppression';

export class Suppressions {
  readonly #hashes = new Set<string>();
  readonly #statements: ReturnType<typeof prepareAll>;
  #key: string | null = null;

  /** `readKey`: null until there is a key of the hashes, which then never changes. */
  constructor(
    db: DatabaseSync,
    private readonly readKey: () => string | null,
    private readonly transaction: (work: () => void) => void,
  ) {
    this.#statements = prepareAll(db);
    for (const { hash } of this.all()) this.#hashes.add(hash);
  }

  get any(): boolean {
    return this.#hashes.size > 0;
  }

  has(memberKey: string): boolean {
    this.#key ??= this.readKey();
    return this.#key !== null && this.#hashes.has(suppressionHashOfMember(this.#key, memberKey));
  }

  all(): { hash: string; sinceWallMs: number }[] {
    return this.#statements.all.all().map(({ hash, since_wall }) => ({
      hash: hash as string,
      sinceWallMs: since_wall as number,
    }));
  }

  add(hashes: readonly string[], wallMs: number): void {
    this.transaction(() => {
      for (const hash of hashes) this.#statements.add.run(hash, wallMs);
    });
    for (const hash of hashes) this.#hashes.add(hash);
  }

  lift(hashes: readonly string[]): void {
    this.transaction(() => {
      for (const hash of hashes) this.#statements.lift.run(hash);
    });
    for (const hash of hashes) this.#hashes.delete(hash);
  }
}

function prepareAll(db: DatabaseSync) {
  return {
    all: db.prepare('SELECT hash, since_wall FROM suppression ORDER BY since_wall, hash'),
    add: db.prepare('INSERT OR IGNORE INTO suppression (hash, since_wall) VALUES (?, ?)'),
    lift: db.prepare('DELETE FROM suppression WHERE hash = ?'),
  };
}
