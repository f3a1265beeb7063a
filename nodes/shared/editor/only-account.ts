// Where there is one account, a node that is dragged in uses it: one thing less to choose, and nothing to guess.
import type { EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

/** For `onadd`. A node that was imported or pasted keeps what it has: the editor knows it by then. */
export function useOnlyAccount(node: { readonly id: string; account: string }): void {
  if (node.account !== '' || RED.nodes.node(node.id) !== null) return;
  const enabled: string[] = [];
  RED.nodes.eachConfig((config) => {
    const isAccount = config.type === 'instant-audience-account' && config.d !== true;
    // One that belongs to a single tab may be out of the node's reach.
    if (isAccount && (config.z === undefined || config.z === '')) enabled.push(String(config.id));
  });
  if (enabled.length === 1) node.account = enabled[0]!;
}
