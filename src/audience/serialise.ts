// A checked entry as text: how the outbox keeps it, and how it is read back.
import { checkEntry } from './check';
import type { CheckedEntry } from './entry';
import { sentence } from './issues';

/** What closes a user after its blocks. */
const userTail = ']}';

/** Before the body of an entry that does not age. */
const asItCame = 'as it came ';

/** The entry as JSON in the service's own form, expirations as given. */
export function entryBody(entry: CheckedEntry): string {
  let body = entry.userHead;
  for (let index = 0; index < entry.blocks.length; index++) {
    if (index > 0) body += ',';
    body += entry.blocks[index]!.text;
  }
  return body + userTail;
}

/** The body as the outbox keeps it. The time of the event is not in it: that is kept beside it. */
export function queuedBody(entry: CheckedEntry): string {
  return entry.ages ? entryBody(entry) : asItCame + entryBody(entry);
}

/** Length of `queuedBody`, in characters, without building it. */
export function bodyChars(entry: CheckedEntry): number {
  let chars = entry.userHead.length + userTail.length + entry.blocks.length - 1;
  if (!entry.ages) chars += asItCame.length;
  for (const { text } of entry.blocks) chars += text.length;
  return chars;
}

/**
 * Reads back what `queuedBody` wrote; equal to the original but for `eventTimeMs`, which is null. Throws an Error
 * that says what is wrong when the text is not such a body (a damaged or foreign outbox).
 */
export function parseBody(body: string): CheckedEntry {
  const ages = !body.startsWith(asItCame);
  let input: unknown;
  try {
    input = JSON.parse(ages ? body : body.slice(asItCame.length));
  } catch {
    throw new Error('A queued entry is damaged: it is not JSON any more');
  }
  // What was allowed had been decided when the entry was taken.
  const result = checkEntry(input, { allowCustomDomain: true, allowUnknownFields: true, ages });
  if (!result.ok) throw new Error(`A queued entry is damaged: ${result.issues.map(sentence).join('; ')}`);
  return result.entry;
}

/** As `parseBody`; null for a text that nobody can make sense of. */
export function readBody(body: string): CheckedEntry | null {
  try {
    return parseBody(body);
  } catch {
    return null;
  }
}

/** Whether a body is of one of these users. One that cannot be read is nobody's. */
export function isBodyOf(userKeys: readonly string[], body: string): boolean {
  const entry = readBody(body);
  return entry !== null && userKeys.includes(entry.userKey);
}
