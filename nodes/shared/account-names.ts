// Names of accounts, distinct even where several accounts have the same name.

export interface NamedAccount {
  readonly id: string;
  readonly name: string;
}

/** The name, with the end of the id behind it when another account has the same one. */
export function distinctName({ id, name }: NamedAccount, all: readonly NamedAccount[]): string {
  const isTwice = all.some((other) => other.id !== id && other.name === name);
  return isTwice ? `${name} (${id.slice(-4)})` : name;
}
