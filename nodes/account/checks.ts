// What makes an account's configuration complete: the same checks for the form and for the runtime.
//
// The editor shows the sentences on the fields, the runtime in its log and status: the configuration may come
// from a file, or from ${ENV} values that only the runtime can see.

import { readDatabaseUrl } from '../../src/outbox/postgres-url';

/** A sentence of `locales/<lang>/account.json`, and the values of its placeholders. */
export interface Problem {
  readonly key: string;
  readonly params?: Readonly<Record<string, string | number>>;
}

/** Smallest and largest accepted value; every one is a whole number. */
export const ranges = {
  postsPerSecond: { min: 1, max: 10_000 },
  usersPerSecond: { min: 1, max: 1_000_000 },
  maxConcurrent: { min: 1, max: 1_000 },
  usersPerPost: { min: 1, max: 100_000 },
  blocksPerUser: { min: 1, max: 10_000 },
  // The largest entry of one segment, as a check lets it pass, has less than the least.
  maxBodyBytes: { min: 20_000, max: 100_000_000 },
  readsPerSecond: { min: 1, max: 100_000 },
  apiReadsPerMinute: { min: 1, max: 1_000_000 },
  sandboxWarmUpMinutes: { min: 0, max: 1_440 },
  // 0 never expires, as in a block.
  sandboxDefaultExpirationMinutes: { min: 0, max: 5_256_000 },
  queueMaxEntries: { min: 1, max: 1_000_000_000 },
  queueMaxMb: { min: 1, max: 1_048_576 },
  warnAfterMinutes: { min: 1, max: 10_080 },
} as const;

export type NumberProperty = keyof typeof ranges;
export const numberProperties = Object.keys(ranges) as NumberProperty[];

export type CheckedProperty =
  | NumberProperty
  | 'environment'
  | 'authUrl'
  | 'serviceUrl'
  | 'member'
  | 'authMethod'
  | 'username'
  | 'password'
  | 'keyName'
  | 'privateKey'
  | 'queue'
  | 'databaseUrl'
  | 'encryptIds';

/**
 * Reads a property or credential as text. `undefined` is "not saved", which takes the default; a credential that
 * is stored but not readable (the editor never sees a password) may be any text but ''.
 */
export type Reader = (property: CheckedProperty) => string | undefined;

type Check = (value: string, read: Reader) => Problem | null;

const environments = ['sandbox', 'production', 'custom'];
const authMethods = ['password', 'jwt'];
const queues = ['disk', 'memory', 'shared'];

/** What the editor shows in place of a stored password. */
const storedPassword = '__PWRD__';

/** Whether a value is nothing but `${NAME}` or `$(NAME)`, which Node-RED replaces at start. */
export function isFromEnvironment(value: string): boolean {
  return /^\$(\{[^}]+\}|\([^)]+\))$/.test(value);
}

function problem(key: string, params?: Problem['params']): Problem {
  return params ? { key: `error.${key}`, params } : { key: `error.${key}` };
}

/** An environment that is itself a `${NAME}` asks for nothing: it may turn out to be the sandbox. */
function needsLogin(read: Reader): boolean {
  return ['production', 'custom'].includes(read('environment') ?? 'sandbox');
}

function usesKey(read: Reader): boolean {
  return needsLogin(read) && read('authMethod') === 'jwt';
}

function usesPassword(read: Reader): boolean {
  return needsLogin(read) && (read('authMethod') ?? 'password') === 'password';
}

function oneOf(values: readonly string[], key: string): Check {
  return (value) => (values.includes(value) ? null : problem(key));
}

function wholeNumber(property: NumberProperty): Check {
  const { min, max } = ranges[property];
  return (value) => {
    const number = Number(value);
    return /^\d+$/.test(value) && number >= min && number <= max
      ? null
      : problem(`${property}_range`, { min, max });
  };
}

/** Of the sandbox alone: elsewhere the fields do not show. */
function sandboxNumber(property: NumberProperty): Check {
  const check = wholeNumber(property);
  return (value, read) => ((read('environment') ?? 'sandbox') === 'sandbox' ? check(value, read) : null);
}

function filledIn(needed: (read: Reader) => boolean, key: string): Check {
  return (value, read) => (needed(read) && value === '' ? problem(key) : null);
}

function address(name: 'auth_url' | 'service_url'): Check {
  return (value, read) => {
    if (read('environment') !== 'custom') {
      return null;
    }
    const url = URL.canParse(value) ? new URL(value) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) {
      return problem(`${name}_invalid`);
    }
    return url.username !== '' || url.password !== '' ? problem(`${name}_login`) : null;
  };
}

const member: Check = (value, read) => {
  if (!needsLogin(read)) {
    return null;
  }
  if (value === '') {
    return problem('member_missing');
  }
  return /^[1-9]\d{0,9}$/.test(value) ? null : problem('member_invalid');
};

const privateKey: Check = (value, read) => {
  if (!usesKey(read) || value === storedPassword) {
    return null;
  }
  if (value === '') {
    return problem('key_missing');
  }
  if (value.includes('ENCRYPTED')) {
    return problem('key_encrypted');
  }
  if (value.includes('BEGIN PUBLIC KEY') || value.includes('BEGIN RSA PUBLIC KEY')) {
    return problem('key_public');
  }
  return /-----BEGIN (RSA )?PRIVATE KEY-----[^-]+-----END (RSA )?PRIVATE KEY-----/.test(value)
    ? null
    : problem('key_invalid');
};

/** A % that is not the first sign of a code would be read as one. */
const looseCode = /%(?![0-9a-f]{2})/i;

const databaseUrl: Check = (value, read) => {
  if (read('queue') !== 'shared' || value === storedPassword) {
    return null;
  }
  if (value === '') {
    return problem('database_url_missing');
  }
  const parts = readDatabaseUrl(value);
  if (parts === null || looseCode.test(value)) {
    return problem('database_url_invalid');
  }
  if (parts.hosts.length === 0) {
    return problem('database_url_no_host');
  }
  return parts.database === '' ? problem('database_url_no_database') : null;
};

/** Anything but a clear yes or no would leave open whether ids lie on the disk in the clear. */
const encryptIds: Check = (value, read) => {
  if (!['true', 'false', ''].includes(value)) {
    return problem('encrypt_unknown');
  }
  return value === 'true' && read('queue') === 'shared' ? problem('encrypt_shared') : null;
};

const checks: Record<CheckedProperty, Check> = {
  environment: oneOf(environments, 'environment_unknown'),
  authUrl: address('auth_url'),
  serviceUrl: address('service_url'),
  member,
  authMethod: oneOf(authMethods, 'auth_method_unknown'),
  username: filledIn(needsLogin, 'username_missing'),
  password: filledIn(usesPassword, 'password_missing'),
  keyName: filledIn(usesKey, 'key_name_missing'),
  privateKey,
  queue: oneOf(queues, 'queue_unknown'),
  databaseUrl,
  postsPerSecond: wholeNumber('postsPerSecond'),
  usersPerSecond: wholeNumber('usersPerSecond'),
  maxConcurrent: wholeNumber('maxConcurrent'),
  usersPerPost: wholeNumber('usersPerPost'),
  blocksPerUser: wholeNumber('blocksPerUser'),
  maxBodyBytes: wholeNumber('maxBodyBytes'),
  readsPerSecond: wholeNumber('readsPerSecond'),
  apiReadsPerMinute: wholeNumber('apiReadsPerMinute'),
  sandboxWarmUpMinutes: sandboxNumber('sandboxWarmUpMinutes'),
  sandboxDefaultExpirationMinutes: sandboxNumber('sandboxDefaultExpirationMinutes'),
  queueMaxEntries: wholeNumber('queueMaxEntries'),
  queueMaxMb: wholeNumber('queueMaxMb'),
  warnAfterMinutes: wholeNumber('warnAfterMinutes'),
  encryptIds,
};

/** Everything that is checked, in the form's order. */
export const checkedProperties = Object.keys(checks) as readonly CheckedProperty[];

/** Those whose absence is a matter of its own; the others take their default when they are not saved. */
const withoutDefault: ReadonlySet<CheckedProperty> = new Set<CheckedProperty>([
  'member',
  'username',
  'password',
  'keyName',
  'privateKey',
  'databaseUrl',
]);

/** What is wrong with one property, given the others; null when nothing is. Surrounding blanks do not count. */
export function checkProperty(property: CheckedProperty, read: Reader): Problem | null {
  const trimmed: Reader = (name) => read(name)?.trim();
  const value = trimmed(property);
  if (value === undefined && !withoutDefault.has(property)) {
    return null;
  }
  return isFromEnvironment(value ?? '') ? null : checks[property](value ?? '', trimmed);
}

/** Everything that is wrong, in the form's order. */
export function checkAccount(read: Reader): Problem[] {
  return checkedProperties.map((property) => checkProperty(property, read)).filter((found) => found !== null);
}
