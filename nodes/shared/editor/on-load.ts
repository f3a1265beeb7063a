// Defaults for nodes whose flow file lacks properties; the editor then shows and saves them whole.
import type { EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

/**
 * Adds missing defaults to each node of the type when it is loaded, imported or pasted, before the editor validates it.
 * The node does not count as changed, since the runtime applies the same defaults.
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
