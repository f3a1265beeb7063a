// Address of a shared queue's database, as a URL or as fields. Form and runtime share it, so it uses no module of Node.js.

export interface Host {
  readonly host: string;
  readonly port: number;
}

/** User, password and database are still percent-encoded. */
export interface DatabaseUrl {
  readonly login: string;
  /** One host, or several of which one accepts writes at a time. Empty when the URL names none. */
  readonly hosts: readonly Host[];
  readonly database: string;
  readonly query: URLSearchParams;
}

/**
 * Allows one `@` only, at the end of the login. A password with an unescaped / ? # or @ has another one; its
 * rest would be read as host, port and database, which messages show.
 */
const form = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^@?#]*))?(?:\?([^@#]*))?$/i;

/** Null when it does not have the form `postgres://user:password@host:5432/database`. */
export function readDatabaseUrl(url: string): DatabaseUrl | null {
  const parts = form.exec(url.trim());
  if (parts === null) return null;
  const [, login = '', named = '', database = '', queried = ''] = parts;
  const query = new URLSearchParams(queried);
  const ports = query.get('port')?.split(',') ?? [];
  // For a socket, the parameter holds the folder.
  const names = (query.get('host') ?? named).split(',').filter((name) => name !== '');
  const hosts = names.map((name, at) => hostOf(name, ports[at] ?? ports[0] ?? '5432'));
  return hosts.includes(null) ? null : { login, hosts: hosts as Host[], database, query };
}

/** The same text for URLs with the same meaning, however they are encoded and whether or not they name the usual port. */
export function meaningOf(url: string): string {
  const parts = readDatabaseUrl(url);
  if (parts === null) return url;
  const { login, hosts, database, query } = parts;
  const [user = '', password = ''] = login.split(/:(.*)/s).map(decoded);
  for (const name of ['host', 'port']) query.delete(name);
  return JSON.stringify([hosts, decoded(database), user, password, [...query]]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The fields of a form; user and password as they are. */
export interface DatabaseFields {
  /** Separated by commas; one without a port of its own has `port`. */
  readonly hosts: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** The URL with the same meaning; '' when the hosts cannot be read. */
export function databaseUrlOf({ hosts, port, database, user, password }: DatabaseFields): string {
  const places = hostsIn(hosts, port)?.map((one) => `${hostInUrl(one.host)}:${one.port}`);
  if (places === undefined) return '';
  const login = [user, password].map(encoded).join(':');
  return `postgres://${login}@${places.join(',')}/${encoded(database)}`;
}

/** Null when one of them is no host name, no IP address and no folder of a socket. */
export function hostsIn(list: string, port: number): readonly Host[] | null {
  const names = list.split(',').map((name) => name.trim());
  const hosts = names.map((name) => {
    const isPlain = /^(\/[^\s@?#]+|[^\s/@?#%]+)$/.test(name);
    return isPlain ? hostOf(isIpv6(name) ? `[${name}]` : name, String(port)) : null;
  });
  return hosts.includes(null) ? null : (hosts as Host[]);
}

/** encodeURIComponent throws for half of a surrogate pair. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function isIpv6(name: string): boolean {
  return /^[^[\]]*:[^[\]]*:/.test(name);
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : encoded(host);
}

function hostOf(text: string, otherPort: string): Host | null {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const name = bracketed ?? plain;
  const number = Number(port ?? otherPort);
  if (name === undefined || !(number > 0 && number < 65_536)) return null;
  try {
    return { host: decodeURIComponent(name), port: number };
  } catch {
    return null;
  }
}

export function sslModeOf(query: URLSearchParams): string {
  return query.get('sslmode') ?? (query.get('ssl') === 'true' ? 'require' : 'disable');
}

/**
 * Whether user ids may leave this machine unencrypted. `hasTls`: the account has TLS settings, which take
 * precedence over `sslmode`.
 */
export function travelsInClear(url: string, hasTls: boolean): boolean {
  const parts = readDatabaseUrl(url);
  if (hasTls || parts === null) return false;
  // `allow` and `prefer` may end without encryption if the server wants that.
  const mayBeClear = ['disable', 'allow', 'prefer'].includes(sslModeOf(parts.query));
  return mayBeClear && !parts.hosts.every(({ host }) => isOnThisMachine(host));
}

function isOnThisMachine(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1|\/.*)$/i.test(host);
}
