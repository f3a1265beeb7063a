// Where there is one account, a node that is dragged in uses it: one thing less to choose, and nothing to guess.
import type { EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

/** For `onadd`. A node that was imported or pasted keeps what it has: the editor knows it by then. */
export function useOnlyAccount(node: { readonly id: string; account: string }): void {
  if (node.account === '' && RED.nodes.node(node.id) === undefined) node.account = onlyAccount() ?? '';
}

/** For a form that opens without an account: the list shows the only one there is, to be saved or changed. */
export function offerOnlyAccount(list: JQuery): void {
  const only = onlyAccount();
  if (only !== null && list.val() === '_ADD_') list.val(only).trigger('change');
}

function onlyAccount(): string | null {
  const enabled: string[] = [];
  RED.nodes.eachConfig((config) => {
    const isAccount = config.type === 'instant-audience-account' && config.d !== true;
    // One that belongs to a single tab may be out of the node's reach.
    if (isAccount && (config.z === undefined || config.z === '')) enabled.push(String(config.id));
  });
  return enabled.length === 1 ? enabled[0]! : null;
}
