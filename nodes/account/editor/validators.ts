// Validators of an account: two parameters, and a sentence for what is wrong, as in Node-RED 3 and later.
import { isFormOpen } from '../../shared/editor/fields';
import { labelOf } from './label';
import { disagreeing } from './neighbours';
import { valuesOf, verdictOn, type Account } from './values';

export function valid(property: string) {
  return function (this: Account, value: unknown, _options: unknown): true | string {
    return verdictOn(this, property, { ...valuesOf(this), [property]: value });
  };
}

/**
 * Node-RED validates credentials in the open form only, so a missing one would not show in the red triangle.
 * Outside the form, the choice that needs them speaks for them, as far as the editor knows them.
 */
function validWith(property: string, credentials: readonly string[]) {
  return function (this: Account, value: unknown, _options: unknown): true | string {
    const values = { ...valuesOf(this), [property]: value };
    const areKnown = !isFormOpen(this) && this.credentials !== undefined;
    const verdicts = [property, ...(areKnown ? credentials : [])].map((name) =>
      verdictOn(this, name, values),
    );
    return verdicts.find((verdict) => verdict !== true) ?? true;
  };
}

export const validLogin = validWith('authMethod', ['username', 'password', 'privateKey']);
export const validDatabase = validWith('databaseBy', ['databaseUrl']);

/** Accounts that share a queue must agree on its place; the runtime would refuse the second one. */
export function validQueue(this: Account, value: unknown, options: unknown): true | string {
  return agreed(this, 'queue', value, options, 'queue_kinds_differ');
}

/** The same for whether the queue that they share is encrypted. */
export function validEncryption(this: Account, value: unknown, options: unknown): true | string {
  return agreed(this, 'encryptIds', value, options, 'queue_encryption_differs');
}

function agreed(
  account: Account,
  property: 'queue' | 'encryptIds',
  value: unknown,
  options: unknown,
  problem: string,
): true | string {
  const chosen = valid(property).call(account, value, options);
  if (chosen !== true) return chosen;
  const other = disagreeing(account.id, { ...valuesOf(account), [property]: value }, property);
  return other === null ? true : account._(`error.${problem}`, { account: labelOf(account), other });
}
