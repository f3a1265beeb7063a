// Agreement of accounts that share a queue: they must keep it in the same place and encrypt it alike.
import type { EditorRed } from '../../types/red-editor';
import type { Saved } from '../../shared/saved';
import { readPlace } from '../settings';

declare const RED: EditorRed;

/**
 * The name of an enabled account that serves the same member and has something else saved in `about`; null for none,
 * and where a variable decides. Only a queue on disk is encrypted.
 */
export function disagreeing(id: string, saved: Saved, about: 'queue' | 'encryptIds'): string | null {
  const own = readPlace(saved);
  if ('key' in own || (about === 'encryptIds' && own.queue !== 'disk')) return null;
  const names: string[] = [];
  RED.nodes.eachConfig((node) => {
    if (node.type !== 'xandr-account' || node.id === id || node.d === true) return;
    const other = readPlace(node);
    if ('key' in other || other.origin !== own.origin || other.member !== own.member) return;
    if (other[about] !== own[about]) names.push(RED.utils.getNodeLabel(node, String(node.id)));
  });
  return names[0] ?? null;
}
