// The account of a node in the editor: its validity, its label, and the only account for a node that is dragged in.
import type { EditorNode, EditorRed } from '../../types/red-editor';
import { variableIn } from '../saved';

declare const RED: EditorRed;

export type SavedAccount = Readonly<Record<string, unknown>>;

/** The account as the editor has it, also one that is not deployed yet. */
export function accountOf(id: unknown): SavedAccount | null {
  return typeof id === 'string' ? (RED.nodes.node(id) ?? null) : null;
}

const mostLabelChars = 18;

/** The node's name, or else what it is and for which account: the words `name.plain` and `name.<word>`. */
export function labelOf(node: EditorNode<{ account: string }>, word: string): string {
  const account = accountOf(node.account);
  if (node.name) return node.name;
  if (account === null) return node._('name.plain');
  return node._(`name.${word}`, { account: shortLabel(RED.utils.getNodeLabel(account, node.account)) });
}

/** A longer one would stretch the node over its neighbours. */
function shortLabel(text: string): string {
  const label = Array.from(text);
  return label.length <= mostLabelChars ? text : `${label.slice(0, mostLabelChars - 1).join('')}…`;
}

/** A validator; the words are the node's own, below `invalid`. */
export function validAccount(this: EditorNode<object>, value: unknown, _options: unknown): true | string {
  if (value === undefined || value === '' || value === '_ADD_') {
    return this._('invalid.account_missing');
  }
  // Only the runtime can resolve the variable.
  if (variableIn(value) !== null) {
    return true;
  }
  const account = accountOf(value);
  if (account === null) {
    return this._('invalid.account_gone');
  }
  // Disabled in the editor.
  if (account.d === true) {
    return this._('invalid.account_off');
  }
  return account.valid === false ? this._('invalid.account_invalid') : true;
}

// ── The only account ────────────────────────────────────────────────────────────────────────────────────────────────

const accountType = 'xandr-account';

interface UsesAccount {
  readonly id: string;
  account: string;
}

/** Nodes of this type that were dragged in while there was no account at all. */
const waiting = new Set<string>();

/** For `onadd`. An imported or pasted node keeps its account: the editor already has it by then. */
export function useOnlyAccount(node: UsesAccount): void {
  if (node.account !== '' || RED.nodes.node(node.id) !== undefined) return;
  const accounts = accountsForAll();
  if (accounts.length === 1) node.account = accounts[0]!;
  if (accounts.length === 0) waiting.add(node.id);
}

/** Once for each node type: waiting nodes get the first account that is added. */
export function awaitFirstAccount(): void {
  // Absent where the script is only read for its definition, as palette search does.
  RED.events?.on('nodes:add', (added: { readonly type?: unknown }) => {
    if (added.type !== accountType || waiting.size === 0) return;
    // The editor is still adding the account: its own validation comes first.
    setTimeout(giveFirstAccount, 0);
  });
}

function giveFirstAccount(): void {
  const accounts = accountsForAll();
  if (accounts.length === 0) return;
  const ids = [...waiting];
  waiting.clear();
  // Several accounts were added at once: the choice is left to the user.
  if (accounts.length > 1) return;
  for (const id of ids) giveAccount(id, accounts[0]!);
  RED.view.redraw();
}

function giveAccount(id: string, account: string): void {
  const node = RED.nodes.node(id);
  // The node was removed, or has an account by now.
  if (node?.account !== '') return;
  Object.assign(node, { account, changed: true, dirty: true, resize: true });
  RED.nodes.updateConfigNodeUsers(node, { action: 'add' });
  RED.editor.validateNode(node);
}

/** Enabled ones; one that belongs to a single tab may be out of the node's reach. */
function accountsForAll(): string[] {
  const found: string[] = [];
  RED.nodes.eachConfig((config) => {
    const isForAll = config.z === undefined || config.z === '';
    if (config.type === accountType && config.d !== true && isForAll) found.push(String(config.id));
  });
  return found;
}
