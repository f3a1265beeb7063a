// Names of users and segments as the service's documents define them: two spellings of one name are equal.
import type { Block } from '../world/plan';

const deviceDomains = new Set(['idfa', 'aaid', 'sha1udid', 'md5udid', 'openudid']);
const codes = new Map([10001, 10002, 10003, 10004].map((id) => [`code_${id}`, String(id)]));

export function userName(user: string, domain: string | null): string {
  const kind = domain === 'sh1udid' ? 'sha1udid' : (domain ?? '');
  return `${kind}:${deviceDomains.has(kind) ? user.toLowerCase() : user}`;
}

/**
 * Whether two spellings of such an id are equal is not documented: they neither share a request nor are in
 * flight together.
 */
export function cautiousName(user: string, domain: string | null): string {
  const name = userName(user, domain);
  return user.length >= 32 ? name.toLowerCase() : name;
}

export function segmentName(block: Block): string {
  if (block.seg_id !== undefined) return String(block.seg_id);
  const code = block.seg_code!.toLowerCase();
  return codes.get(code) ?? `${block.member_id}:${code}`;
}

/** Whether a queue is one of a single instance, by its name in the history. */
export function isLocal(queue: string): boolean {
  return queue.startsWith('disk') || queue.startsWith('memory');
}
