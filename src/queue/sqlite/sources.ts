// Sources of a queue file: the nodes and accounts that appended its rows.

import type { DatabaseSync, StatementSync } from 'node:sqlite';

import type { Source } from '../store';

/** Sources by id; a new one is written in the transaction of its first row. */
export class Sources {
  readonly #byId = new Map<number, Source>();
  readonly #idByKey = new Map<string, number>();
  readonly #insert: StatementSync;
  #added: number[] = [];
  #last: { readonly source: Source; readonly id: number } | null = null;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare('INSERT INTO source (id, node, account) VALUES (?, ?, ?)');
    for (const { id, node, account } of db.prepare('SELECT id, node, account FROM source').all()) {
      this.#learn(id as number, { node: node as string, account: account as string });
    }
  }

  get accounts(): readonly string[] {
    return [...new Set([...this.#byId.values()].map(({ account }) => account))];
  }

  get(id: number): Source | undefined {
    return this.#byId.get(id);
  }

  idOf(source: Source): number {
    if (this.#last?.source === source) return this.#last.id;
    const id = this.#idByKey.get(keyOf(source)) ?? this.#add(source);
    this.#last = { source, id };
    return id;
  }

  /** Call after a commit. */
  keep(): void {
    this.#added.length = 0;
  }

  /** Call after a rollback. */
  forget(): void {
    for (const id of this.#added) {
      this.#idByKey.delete(keyOf(this.#byId.get(id)!));
      this.#byId.delete(id);
    }
    this.#added = [];
    this.#last = null;
  }

  #add(source: Source): number {
    const id = this.#byId.size + 1;
    this.#insert.run(id, source.node, source.account);
    this.#added.push(id);
    this.#learn(id, { node: source.node, account: source.account });
    return id;
  }

  #learn(id: number, source: Source): void {
    this.#byId.set(id, source);
    this.#idByKey.set(keyOf(source), id);
  }
}

function keyOf(source: Source): string {
  return JSON.stringify([source.node, source.account]);
}
