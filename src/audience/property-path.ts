// Reads a property by a path that was split beforehand, as `payload.items[0].id` into its parts.

/** A part is a key, or the parts of a path within the message: `payload[msg.topic]`. */
export type PathPart = string | number | readonly PathPart[];

/** A reader of a path. What does not exist, wherever along the path, is undefined; it throws only if a getter does. */
export type ReadPath = (root: unknown, message: unknown) => unknown;

/** Compiles a path. Nested paths start at the message (and with `msg`), whatever the root. */
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
