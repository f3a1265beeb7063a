// Values of an account in the editor: of its open form, else as they are saved; and the problems in them.
import { knownCredentials } from '../../shared/editor/account';
import { currentValues, isFormOpen } from '../../shared/editor/fields';
import { plainText, problemsInForm, type Problem, type Saved } from '../../shared/saved';
import type { EditorNode } from '../../types/red-editor';
import { accountSchema, type AccountValues } from '../schema';

const credentialNames = ['username', 'password', 'privateKey', 'databaseUrl', 'databasePassword'] as const;
export type AccountCredentials = Record<(typeof credentialNames)[number], string>;

/** Saved properties; figures, and a yes or no, are text where they are `${ENV}`. */
export type AccountProperties = { name: string } & {
  [Name in Exclude<keyof AccountValues, keyof AccountCredentials>]: AccountValues[Name] | string;
};

export type Account = EditorNode<AccountProperties>;

export const checkedProperties = Object.keys(accountSchema({}).shape);

export function field(property: string): JQuery {
  return $(`#node-config-input-${property}`);
}

/** The text of a field. */
export function value(property: string): string {
  return plainText(field(property).val()) ?? '';
}

/** Properties and credentials, as the open form has them, else as they are saved. */
export function valuesOf(account: Account): Saved {
  return isFormOpen(account)
    ? currentValues(account, checkedProperties, 'node-config-input')
    : { ...(account as unknown as Saved), ...knownCredentials(account, credentialNames) };
}

/** What our routes need; the lists of configuration nodes say `_ADD_` for none. */
export function readFields(names: readonly string[]): Record<string, string> {
  const read = names.map((name): [string, string] => [name, String(field(name).val() ?? '')]);
  return Object.fromEntries(read.filter(([, text]) => text !== '_ADD_'));
}

export function verdictOn(account: Account, property: string, values: Saved): true | string {
  const wrong = problemsIn(values).find(({ path }) => path === property);
  return wrong === undefined ? true : account._(`error.${wrong.code}`, { ...wrong.params });
}

let last: { readonly key: string; readonly problems: readonly Problem[] } | undefined;

/** The form and the editor ask for each property after each key, mostly about the same values. */
function problemsIn(values: Saved): readonly Problem[] {
  const key = JSON.stringify(checkedProperties.map((property) => values[property]));
  if (last?.key !== key) last = { key, problems: problemsInForm(accountSchema(values), values) };
  return last.problems;
}
