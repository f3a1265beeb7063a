// Nodes of the canvas, as the tab names them and links to them.
import type { CanvasNode, SidebarRed } from '../../types/red-sidebar';
import { linkButton } from './dom';

declare const RED: SidebarRed;

interface Named {
  readonly id: string;
  readonly name: string;
}

/** The nodes that use one of these accounts, by the names that the canvas shows. */
export function nodesOf(accounts: readonly { readonly id: string }[]): readonly Named[] {
  const nodes = accounts.flatMap(({ id }) => RED.nodes.node(id)?.users ?? []);
  return nodes.map((node) => ({ id: node.id, name: nameOf(node) }));
}

/** Null if the editor does not have the node. */
export function nodeLink(id: string, name?: string): HTMLElement | null {
  const node = RED.nodes.node(id);
  if (node === null || node === undefined) return null;
  return linkButton(name ?? nameOf(node), () => RED.view.reveal(id));
}

function nameOf(node: CanvasNode): string {
  return RED.utils.getNodeLabel(node, node.type);
}
