// Defaults for nodes whose flow file lacks properties; the editor then shows and saves them whole.
import type { EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

/**
 * Gives each node of the type, as it is loaded, imported or pasted, the defaults of what it lacks, before the editor
 * validates it. Nothing counts as changed: the runtime reads it the same way.
 */
export function completeOnLoad(type: string): void {
  // Absent where the script is only read for its definition, as palette search does.
  RED.events?.on('nodes:add', (node: Record<string, unknown>) => {
    if (node.type !== type) return;
    for (const [property, { value }] of Object.entries(RED.nodes.getType(type).defaults)) {
      if (node[property] === undefined) node[property] = JSON.parse(JSON.stringify(value)) as unknown;
    }
  });
}
