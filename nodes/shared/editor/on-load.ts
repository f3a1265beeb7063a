// Brings nodes that an earlier version saved up to date as the editor loads, imports or pastes them.
import type { EditorRed } from '../../types/red-editor';
import { migrate, type Saved } from '../migrations';

declare const RED: EditorRed;

/**
 * For each node of the type, before the editor validates it. Nothing counts as changed: the node does what it did,
 * and the next deploy saves it in full.
 */
export function migrateOnLoad(type: string): void {
  // Absent where the script is only read for its definition, as palette search does.
  RED.events?.on('nodes:add', (node: Saved) => {
    if (node.type !== type) return;
    const migrated = migrate(type, node);
    for (const property of Object.keys(migrated)) {
      if (migrated[property] !== node[property]) {
        (node as Record<string, unknown>)[property] = migrated[property];
      }
    }
  });
}
