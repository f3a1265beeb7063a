// What a type needs once it is loaded: defaults for nodes whose flow file lacks properties, which the editor then shows and
// saves whole, and a word by which the palette finds the type.
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

/** The palette's filter looks only at the type and at this attribute, which nothing else reads. Call before `registerType`. */
export function findByWord(type: string, word: string): void {
  RED.events?.on('registry:node-type-added', (added: unknown) => {
    if (added !== type) return;
    $(`.red-ui-palette-node[data-palette-type="${type}"]`).attr(
      'data-palette-label',
      (_index, label) => `${label} ${word}`,
    );
  });
}
