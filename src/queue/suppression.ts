// Suppressions: users who were erased, as keyed hashes, so that neither a run nor an event brings them back.

import { createHmac, randomBytes } from 'node:crypto';

import { userKeyOf } from '../entry/keys';
import { userOfMember } from '../entry/member-key';

/** The note of the store that holds the key of its suppressions. Part of the stores: never change it. */
export const suppressionKeyNote = 'suppression-key';

export function newSuppressionKey(): string {
  return randomBytes(32).toString('hex');
}

/** Of the user key, so that every spelling of a device id is suppressed. */
export function suppressionHashOf(key: string, userKey: string): string {
  return createHmac('sha256', Buffer.from(key, 'hex')).update(userKey).digest('base64url').slice(0, 22);
}

export function suppressionHashOfMember(key: string, memberKey: string): string {
  const { domain, id } = userOfMember(memberKey);
  return suppressionHashOf(key, userKeyOf(domain, id).userKey);
}

/**
 * The member keys of an erased user of whom only the user key is known: it may ignore the case of the id, a member key
 * does not.
 */
export function memberKeysOf(userKey: string): string[] {
  const idAt = userKey.lastIndexOf(':') + 1;
  return [...new Set([userKey, userKey.slice(0, idAt) + userKey.slice(idAt).toUpperCase()])];
}
