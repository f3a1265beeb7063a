// Reads entries of the queue back.
import { checkEntry } from './check';
import type { CheckedEntry } from './entry';
import { sentence } from './issues';
import { notAgingPrefix } from './serialise';

/**
 * Reads a body of `queuedBody` back. The result equals the original, except that `eventTimeMs` is null.
 *
 * @throws Error with a sentence for a damaged body
 */
export function parseBody(body: string): CheckedEntry {
  const ages = !body.startsWith(notAgingPrefix);
  let input: unknown;
  try {
    input = JSON.parse(ages ? body : body.slice(notAgingPrefix.length));
  } catch {
    throw new Error('A queued entry is damaged: it is not JSON any more');
  }
  // These options were checked when the entry was appended.
  const result = checkEntry(input, { allowCustomDomain: true, allowUnknownFields: true, ages });
  if (!result.ok) throw new Error(`A queued entry is damaged: ${result.issues.map(sentence).join('; ')}`);
  return result.entry;
}

/** Like `parseBody`, but null for a damaged body. */
export function readBody(body: string): CheckedEntry | null {
  try {
    return parseBody(body);
  } catch {
    return null;
  }
}

/** Whether a body belongs to one of these users; false for a damaged body. */
export function isBodyOf(userKeys: readonly string[], body: string): boolean {
  const entry = readBody(body);
  return entry !== null && userKeys.includes(entry.userKey);
}
