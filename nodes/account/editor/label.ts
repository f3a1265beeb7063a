// Label of an account in the editor.
import { distinctName, type NamedAccount } from '../../shared/account-names';
import type { EditorRed } from '../../types/red-editor';
import type { Account } from './values';

declare const RED: EditorRed;

export function labelOf(account: Account): string {
  const all: NamedAccount[] = [];
  RED.nodes.eachConfig((each) => {
    if (each.type === 'xandr-account') all.push(named(each as unknown as Account));
  });
  return distinctName(named(account), all);
}

function named(account: Account): NamedAccount {
  return { id: account.id, name: account.name || describe(account) };
}

/** Of an account without a name: its environment, or its member. */
function describe(account: Account): string {
  const { environment, member, serviceUrl } = account;
  if (environment === 'sandbox') {
    return account._('account.sandbox');
  }
  const seat = member ? account._('account.member', { member }) : null;
  if (environment === 'custom') {
    const words = seat ?? account._('account.custom');
    const host = URL.canParse(serviceUrl) ? new URL(serviceUrl).host : null;
    return host === null ? words : account._('account.at', { account: words, host });
  }
  return seat ?? account._('account.production');
}
