// The account of a node in the editor: its validity, and the account of a node that is added by hand.
import type { EditorNode, EditorRed, HistoryEvent } from '../../types/red-editor';
import { storedPassword, variableIn, type Saved } from '../saved';

declare const RED: EditorRed;

export type SavedAccount = Readonly<Record<string, unknown>>;

/** The account as the editor has it, also one that is not deployed yet. */
export function accountOf(id: unknown): SavedAccount | null {
  return typeof id === 'string' ? (RED.nodes.node(id) ?? null) : null;
}

/** The member of the chosen account, which owns its codes unless told otherwise; perhaps a variable. */
export function memberOfAccount(): string {
  const account = accountOf($('#node-input-account').val());
  if (account?.environment === 'sandbox') return '1';
  const member = account?.member;
  return typeof member === 'string' || typeof member === 'number' ? String(member) : '';
}

/**
 * Properties and credentials for our routes, as they are saved in the editor. Of a stored password the editor knows only
 * that there is one; of an account whose form was not opened since the last deploy it knows no credentials.
 */
export function accountValues(account: SavedAccount): Saved {
  const { defaults, credentials: names = {} } = RED.nodes.getType(accountType);
  return {
    ...Object.fromEntries(Object.keys(defaults).map((name) => [name, account[name]])),
    ...knownCredentials(account, Object.keys(names)),
  };
}

/** The same of its credentials alone. */
export function knownCredentials(
  { credentials: known }: { readonly credentials?: Saved },
  names: readonly string[],
): Saved {
  if (known === undefined) return {};
  const stored = (name: string): string => (known[`has_${name}`] === true ? storedPassword : '');
  return Object.fromEntries(names.map((name) => [name, known[name] ?? stored(name)]));
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

// ── Adding a node by hand ───────────────────────────────────────────────────────────────────────────────────────────

const accountType = 'xandr-account';
/** The editor's names for adding a node by hand; import, paste, undo and redo have others or none. */
const byHand: readonly unknown[] = ['palette', 'typeSearch'];

interface UsesAccount {
  readonly id: string;
  readonly z?: unknown;
  account: string;
}

/** For `onadd`. An imported or pasted node keeps its account: the editor already has it by then. */
export function useOnlyAccount(node: UsesAccount): void {
  if (node.account !== '' || RED.nodes.node(node.id) !== undefined) return;
  const usable = usableAccounts(node);
  if (usable.length === 1) node.account = usable[0]!;
}

/** Once for each node type that needs an account: one added by hand without a usable account gets a new sandbox. */
export function bringSandbox(type: string): void {
  // Absent where the script is only read for its definition, as palette search does.
  RED.events?.on('nodes:add', (node: UsesAccount & { type: string }, context?: { source?: unknown }) => {
    if (node.type !== type || !byHand.includes(context?.source)) return;
    // The editor writes its undo history after this event.
    setTimeout(() => addSandbox(node), 0);
  });
}

function addSandbox(node: UsesAccount): void {
  const added = additionOf(node.id, RED.history.peek());
  if (added === null || node.account !== '' || usableAccounts(node).length > 0) return;
  const _def = RED.nodes.getType(accountType);
  // `completeOnLoad` of the account gives it its defaults.
  const account = RED.nodes.add({ id: RED.nodes.id(), type: accountType, _def, users: [], changed: true });
  // First, since redo adds in this order, and a node looks for its account as it is added.
  added.unshift(account.id);
  Object.assign(node, { account: account.id, dirty: true, resize: true });
  RED.nodes.updateConfigNodeUsers(node, { action: 'add' });
  for (const each of [account, node]) RED.editor.validateNode(each);
  RED.view.redraw();
}

/** The part of an undo event that added the node: one dropped into a group has several. */
function additionOf(id: string, event: HistoryEvent | undefined): string[] | null {
  if (event?.t === 'multi') return event.events?.map((each) => additionOf(id, each)).find(Boolean) ?? null;
  return event?.t === 'add' && event.nodes?.includes(id) === true ? event.nodes : null;
}

/** Enabled ones for all tabs, or for the node's own. */
function usableAccounts({ z: tab }: UsesAccount): string[] {
  const found: string[] = [];
  RED.nodes.eachConfig(({ type, id, d, z = '' }) => {
    if (type === accountType && d !== true && (z === '' || z === tab)) found.push(String(id));
  });
  return found;
}
