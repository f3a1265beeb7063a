// Credentials of an account: password or private key.

/** The two ways to log in (service.md 2). Contains secrets: never put it into a log, a message or an error. */
export type Login =
  | { readonly method: 'password'; readonly username: string; readonly password: string }
  | {
      readonly method: 'jwt';
      readonly username: string;
      /** Name under which the public key is registered at the service. */
      readonly keyName: string;
      /** RSA private key as PEM. */
      readonly privateKey: string;
    };

/** A sentence that names the first empty field, or null. */
export function missingInLogin(login: Login): string | null {
  if (login.username === '') return 'The account has no username. Enter it in the account node.';
  if (login.method === 'password') {
    return login.password === '' ? 'The account has no password. Enter it in the account node.' : null;
  }
  if (login.keyName === '') return 'The account has no key name. Enter the name of the registered key.';
  return login.privateKey === '' ? 'The account has no private key. Paste it into the account node.' : null;
}

/** The values that no message may contain. */
export function secretsOf(login: Login): readonly string[] {
  return login.method === 'password' ? [login.password] : [login.privateKey];
}

export function sameLogin(a: Login, b: Login): boolean {
  if (a.username !== b.username) return false;
  if (a.method === 'password') return b.method === 'password' && a.password === b.password;
  return b.method === 'jwt' && a.keyName === b.keyName && a.privateKey === b.privateKey;
}
