// Users that the platform does not know: posts take them, and only the usage statistics tell that nothing came of it.
import { deviceDomains } from './memberships';

/**
 * Ids that are nobody's (service.md 6): opted out, no cookie, tracking limited, or of a retired kind. And, so that
 * anybody can try what becomes of unknown users: device ids that begin with `ffffffff`, other ids that begin with
 * `unknown` or with eight nines.
 *
 * @param foldedDomain as `foldedDomain` gives it
 * @param foldedUserId as `foldedUserId` gives it
 */
export function isUnknown(foldedDomain: string, foldedUserId: string): boolean {
  if (foldedDomain === 'sha1mac') return true;
  if (deviceDomains.has(foldedDomain))
    return foldedUserId.startsWith('ffffffff') || /^[0-]+$/.test(foldedUserId);
  return (foldedDomain === '' && foldedUserId === '0') || /^(unknown|9{8})/.test(foldedUserId);
}
