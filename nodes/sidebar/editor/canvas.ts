// Nodes of the editor, as the tab names them and links to them: by the names that the editor shows elsewhere.
import type { CanvasNode, SidebarRed } from '../../types/red-sidebar';
import { linkButton } from './dom';

declare const RED: SidebarRed;

interface Named {
  readonly id: string;
  readonly name: string;
}

/** With the editor's name of the account, if the editor has it. */
export function named<Account extends Named>(account: Account): Account {
  const node = RED.nodes.node(account.id);
  return node ? { ...account, name: RED.utils.getNodeLabel(node, account.name) } : account;
}

/** The nodes that use one of these accounts. */
export function nodesOf(accounts: readonly { readonly id: string }[]): readonly Named[] {
  const nodes = accounts.flatMap(({ id }) => RED.nodes.node(id)?.users ?? []);
  return nodes.map((node) => ({ id: node.id, name: nameOf(node) }));
}

/** Null if the editor does not have the node. */
export function nodeLink(id: string, name?: string): HTMLElement | null {
  const node = RED.nodes.node(id);
  if (!node) return null;
  return linkButton(name ?? nameOf(node), () => RED.view.reveal(id));
}

function nameOf(node: CanvasNode): string {
  return RED.utils.getNodeLabel(node, node.type);
}
