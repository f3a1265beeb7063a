// Serialises checked entries for the queue, and reads them back.
import { checkEntry } from './check';
import type { CheckedEntry } from './entry';
import { sentence } from './issues';

/** JSON after the blocks of a user. */
const userTail = ']}';

/** Prefix of the body of an entry that does not age. Saved in queues: never change it. */
const notAgingPrefix = 'as it came ';

/** The entry as JSON in the service's own form, with the expirations as given. */
export function entryBody(entry: CheckedEntry): string {
  let body = entry.userHead;
  for (let index = 0; index < entry.blocks.length; index++) {
    if (index > 0) body += ',';
    body += entry.blocks[index]!.text;
  }
  return body + userTail;
}

/** The body as the queue stores it, without the event time, which has its own column. */
export function queuedBody(entry: CheckedEntry): string {
  return entry.ages ? entryBody(entry) : notAgingPrefix + entryBody(entry);
}

/** Length of `queuedBody` in characters, without building it. */
export function bodyChars(entry: CheckedEntry): number {
  let chars = entry.userHead.length + userTail.length + entry.blocks.length - 1;
  if (!entry.ages) chars += notAgingPrefix.length;
  for (const { text } of entry.blocks) chars += text.length;
  return chars;
}

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
