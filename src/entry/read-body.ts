// Reads entries of the queue back.
import { Checked, checkEntry, Findings, readUser } from './check';
import type { CheckedEntry } from './entry';
import { sentence } from './issues';
import { isPlain } from './keys';
import { knownBlocksOf, listOf, notAgingPrefix, refreshPrefix } from './serialise';

/**
 * Reads a body of `queuedBody` back. The result equals the original, except that `eventTimeMs` is null.
 *
 * @throws Error with a sentence for a damaged body
 */
export function parseBody(body: string): CheckedEntry {
  if (body.startsWith(refreshPrefix))
    return { ...parseBody(body.slice(refreshPrefix.length)), refresh: true };
  const ages = !body.startsWith(notAgingPrefix);
  const json = ages ? body : body.slice(notAgingPrefix.length);
  return readKnown(json, ages) ?? readChecked(json, ages);
}

const idStart = '{"user_id":"';
const domainStart = '","domain":"';
const blocksStart = '","seg_block":[';

/**
 * Reads a body that is written as this version writes it and whose blocks are known, as of nearly all entries, without
 * parsing JSON. Null for any other body, so also for a damaged one.
 */
function readKnown(json: string, ages: boolean): CheckedEntry | null {
  if (!json.startsWith(idStart)) return null;
  let end = json.indexOf('"', idStart.length);
  const id = json.slice(idStart.length, end);
  let domain: string | null = null;
  if (json.startsWith(domainStart, end)) {
    const from = end + domainStart.length;
    end = json.indexOf('"', from);
    domain = json.slice(from, end);
  }
  if (!json.startsWith(blocksStart, end)) return null;
  // Other texts may have escapes.
  if (!isPlain(id) || (domain !== null && !isPlain(domain))) return null;
  const blocks = knownBlocksOf(json, end + blocksStart.length);
  if (blocks === null) return null;
  const user = readUser(id, domain, true, '', new Findings(1));
  return user === null ? null : new Checked(user, json, blocks, null, ages);
}

function readChecked(json: string, ages: boolean): CheckedEntry {
  let input: unknown;
  try {
    input = JSON.parse(json);
  } catch {
    throw new Error('A queued entry is damaged: it is not JSON any more');
  }
  // These options were checked when the entry was appended.
  const result = checkEntry(input, { allowCustomDomain: true, allowUnknownFields: true, ages });
  if (!result.ok) throw new Error(`A queued entry is damaged: ${result.issues.map(sentence).join('; ')}`);
  for (const block of result.entry.blocks) listOf(block);
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
