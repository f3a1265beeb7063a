// Recognises users unknown to the platform: a post accepts them without effect, and only the usage statistics show it.
import { deviceDomains } from './memberships';

/**
 * True for ids that are nobody's (service.md 6): opted out, no cookie, tracking limited, or of a retired kind. Also,
 * for trials: device ids that begin with `ffffffff`, and other ids that begin with `unknown` or eight nines.
 *
 * @param foldedDomain as returned by `foldedDomain`
 * @param foldedUserId as returned by `foldedUserId`
 */
export function isUnknown(foldedDomain: string, foldedUserId: string): boolean {
  if (foldedDomain === 'sha1mac') return true;
  if (deviceDomains.has(foldedDomain))
    return foldedUserId.startsWith('ffffffff') || /^[0-]+$/.test(foldedUserId);
  return (foldedDomain === '' && foldedUserId === '0') || /^(unknown|9{8})/.test(foldedUserId);
}
