// Names of accounts, distinct even where several accounts have the same name.

export interface NamedAccount {
  readonly id: string;
  readonly name: string;
}

/** The name, followed by the end of the id if another account has the same name. */
export function distinctName({ id, name }: NamedAccount, all: readonly NamedAccount[]): string {
  const isTwice = all.some((other) => other.id !== id && other.name === name);
  return isTwice ? `${name} (${id.slice(-4)})` : name;
}
