// Member keys: how the tables of a synced segment name a user (`MemberChange.memberKey` of queue/sync-store.ts). Unlike a
// user key, a member key gives the user back, as it can be sent.

import type { CheckedEntry } from './entry';
import { knownDomains } from './keys';
import { userHead } from './serialise';

/** @param domain as it is sent; null for the platform's own and mapped ids */
export function memberKeyOf(domain: string | null, id: string): string {
  if (domain === null) return `:${id}`;
  // Device ids compare without case, and `sh1udid` is the older name of `sha1udid` (service.md 3.1).
  if (knownDomains.includes(domain))
    return `${domain === 'sh1udid' ? 'sha1udid' : domain}:${id.toLowerCase()}`;
  // A custom domain is quoted, so that its end can be found.
  return `${JSON.stringify(domain)}:${id}`;
}

export function memberKeyOfEntry(entry: Pick<CheckedEntry, 'body' | 'headChars'>): string {
  const { user_id: id, domain = null } = JSON.parse(`${userHead(entry)}]}`) as {
    user_id: string;
    domain?: string | null;
  };
  return memberKeyOf(domain, id);
}

export function userOfMember(memberKey: string): { readonly domain: string | null; readonly id: string } {
  const [, quoted, plain, id] = /^(?:("(?:[^"\\]|\\.)*")|([^":]*)):(.*)$/s.exec(memberKey)!;
  if (quoted !== undefined) return { domain: JSON.parse(quoted) as string, id: id! };
  return { domain: plain === '' ? null : plain!, id: id! };
}
