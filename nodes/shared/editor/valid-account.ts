// Validity of a node's account, as far as the editor can check it.
import type { EditorNode, EditorRed } from '../../types/red-editor';
import { variableIn } from '../saved';

declare const RED: EditorRed;

export type SavedAccount = Readonly<Record<string, unknown>>;

/** The account as the editor has it, also one that is not deployed yet. */
export function accountOf(id: unknown): SavedAccount | null {
  return typeof id === 'string' ? (RED.nodes.node(id) ?? null) : null;
}

const mostLabelChars = 18;

/** An account's label inside that of a node: a longer one would stretch the node over its neighbours. */
export function accountLabel(id: string, account: SavedAccount): string {
  const label = Array.from(RED.utils.getNodeLabel(account, id));
  return label.length <= mostLabelChars ? label.join('') : `${label.slice(0, mostLabelChars - 1).join('')}…`;
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
