// Reads a property by its path, already split into parts, such as `payload.items[0].id`.

/** A key, or the parts of a nested path in the message, as in `payload[msg.topic]`. */
export type PathPart = string | number | readonly PathPart[];

/** Reads a path; undefined if any part does not exist. Throws only if a getter does. */
export type ReadPath = (root: unknown, message: unknown) => unknown;

/** Compiles a path. Nested paths begin with `msg` and read the message, whatever the root. */
export function compilePath(parts: readonly PathPart[]): ReadPath {
  if (parts.every((part) => typeof part !== 'object')) return (root) => readKeys(parts, root);
  const readers = parts.map((part) => (typeof part === 'object' ? compilePath(part.slice(1)) : part));
  return (root, message) => {
    const keys = readers.map((part) => (typeof part === 'function' ? toKey(part(message, message)) : part));
    return keys.includes(undefined) ? undefined : readKeys(keys as (string | number)[], root);
  };
}

function readKeys(keys: readonly (string | number)[], root: unknown): unknown {
  let value = root;
  for (const key of keys) {
    if (value === undefined || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

function toKey(value: unknown): string | number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}
