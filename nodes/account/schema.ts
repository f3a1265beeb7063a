// Schema of an account's saved properties and credentials, for the form and the runtime.
import * as z from 'zod/mini';
import { documentedRequestLimits } from '../../src/delivery/schedule/request-limits';
import { hostsIn, readDatabaseUrl } from '../../src/queue-postgres/postgres-url';
import {
  choice,
  field,
  flag,
  onlyIf,
  plainText,
  Refused,
  storedPassword,
  text,
  whole,
  type Saved,
  type Schema,
} from '../shared/saved';

/** Smallest, largest and usual value; every one is a whole number. */
export const numbers = {
  postsPerSecond: { min: 1, max: 10_000, usual: 100 },
  usersPerSecond: { min: 1, max: 1_000_000, usual: 1000 },
  maxConcurrent: { min: 1, max: 1_000, usual: 15 },
  usersPerPost: { min: 1, max: 100_000, usual: documentedRequestLimits.usersPerPost },
  blocksPerUser: { min: 1, max: 10_000, usual: documentedRequestLimits.blocksPerUser },
  // The largest entry of one segment, as a check lets it pass, has less than the least.
  maxBodyBytes: { min: 20_000, max: 100_000_000, usual: documentedRequestLimits.maxBodyBytes },
  readsPerSecond: { min: 1, max: 100_000, usual: 1000 },
  apiReadsPerMinute: { min: 1, max: 1_000_000, usual: 100 },
  sandboxWarmUpMinutes: { min: 0, max: 1_440, usual: 20 },
  // 0 never expires, as in a block.
  sandboxDefaultExpirationMinutes: { min: 0, max: 5_256_000, usual: 43_200 },
  databasePort: { min: 1, max: 65_535, usual: 5_432 },
  queueMaxEntries: { min: 1, max: 1_000_000_000, usual: 5_000_000 },
  queueMaxMb: { min: 1, max: 1_048_576, usual: 2_048 },
  warnAfterMinutes: { min: 1, max: 10_080, usual: 2 },
} as const;

export type NumberProperty = keyof typeof numbers;
export const numberProperties = Object.keys(numbers) as NumberProperty[];

const defaultAuthUrl = 'https://api.appnexus.com';
const defaultServiceUrl = 'https://streaming-data.appnexus.com';

export type AccountValues = z.infer<ReturnType<typeof accountSchema>>;

/** An environment that is itself a variable asks for nothing: it may turn out to be the sandbox. */
export function accountSchema(saved: Saved) {
  const environment = plainText(saved.environment) ?? 'sandbox';
  const isSandbox = environment === 'sandbox';
  const isCustom = environment === 'custom';
  const needsLogin = isCustom || environment === 'production';
  const method = plainText(saved.authMethod) ?? 'password';
  const usesKey = needsLogin && method === 'jwt';
  const isShared = plainText(saved.queue) === 'shared';
  const databaseBy = plainText(saved.databaseBy) ?? 'fields';
  const byUrl = isShared && databaseBy === 'url';
  const byFields = isShared && databaseBy === 'fields';
  const number = (property: NumberProperty): Schema<number> => {
    const { min, max, usual } = numbers[property];
    const isUsed = property === 'databasePort' ? byFields : isSandbox || !property.startsWith('sandbox');
    return onlyIf(isUsed, whole({ min, max }, usual, `${property}_range`), usual);
  };
  const ofNumbers = numberProperties.map((property) => [property, number(property)] as const);
  return z.object({
    environment: choice(['sandbox', 'production', 'custom'], 'sandbox', 'environment_unknown'),
    authUrl: onlyIf(isCustom, address(defaultAuthUrl, 'auth_url'), defaultAuthUrl),
    serviceUrl: onlyIf(isCustom, address(defaultServiceUrl, 'service_url'), defaultServiceUrl),
    member: onlyIf(needsLogin, needed('member_missing', checkMember), ''),
    authMethod: choice(['password', 'jwt'], 'password', 'auth_method_unknown'),
    username: onlyIf(needsLogin, needed('username_missing'), ''),
    password: onlyIf(needsLogin && method === 'password', needed('password_missing', undefined, true), ''),
    keyName: onlyIf(usesKey, needed('key_name_missing'), ''),
    privateKey: onlyIf(usesKey, needed('key_missing', checkKey, true), ''),
    queue: choice(['disk', 'memory', 'shared'], 'disk', 'queue_unknown'),
    databaseBy: onlyIf(isShared, choice(['fields', 'url'], 'fields', 'database_by_unknown'), 'fields'),
    databaseUrl: onlyIf(byUrl, needed('database_url_missing', checkDatabaseUrl), ''),
    databaseHost: onlyIf(byFields, needed('database_host_missing', checkHosts), ''),
    databaseName: onlyIf(byFields, needed('database_name_missing'), ''),
    databaseUser: onlyIf(byFields, text(''), ''),
    databasePassword: onlyIf(byFields, secret, ''),
    ...(Object.fromEntries(ofNumbers) as Record<NumberProperty, Schema<number>>),
    encryptIds: flag(false, 'encrypt_unknown', isShared ? new Refused('encrypt_shared') : null),
    tls: text('', undefined, 'tls_missing'),
    proxy: text('', undefined, 'proxy_missing'),
    databaseTls: text('', undefined, 'database_tls_missing'),
  });
}

type Check = (text: string) => Refused | null;

/** Without it there is no account. */
function needed(missing: string, check: Check = () => null, isSecret = false): Schema<string> {
  const refused = new Refused(missing);
  return field<string>(refused, (value) => {
    const found = plainText(value) ?? '';
    // Blanks are part of a secret.
    return found === '' ? refused : (check(found) ?? (isSecret && typeof value === 'string' ? value : found));
  });
}

/** A password that may be empty. Blanks are part of it. */
const secret: Schema<string> = field<string>('', (value) =>
  typeof value === 'string' ? value : (plainText(value) ?? ''),
);

function address(missing: string, name: 'auth_url' | 'service_url'): Schema<string> {
  const check: Check = (found) => {
    const url = URL.canParse(found) ? new URL(found) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) return new Refused(`${name}_invalid`);
    return url.username !== '' || url.password !== '' ? new Refused(`${name}_login`) : null;
  };
  return text(missing, check, `${name}_invalid`);
}

const checkMember: Check = (member) => (/^[1-9]\d{0,9}$/.test(member) ? null : new Refused('member_invalid'));

const checkKey: Check = (key) => {
  if (key === storedPassword) return null;
  if (key.includes('ENCRYPTED')) return new Refused('key_encrypted');
  if (key.includes('BEGIN PUBLIC KEY') || key.includes('BEGIN RSA PUBLIC KEY'))
    return new Refused('key_public');
  return /-----BEGIN (RSA )?PRIVATE KEY-----[^-]+-----END (RSA )?PRIVATE KEY-----/.test(key)
    ? null
    : new Refused('key_invalid');
};

const checkHosts: Check = (hosts) =>
  hostsIn(hosts, numbers.databasePort.usual) === null ? new Refused('database_host_invalid') : null;

/** A % that is not the first sign of a code would be read as one. */
const looseCode = /%(?![0-9a-f]{2})/i;

const checkDatabaseUrl: Check = (url) => {
  if (url === storedPassword) return null;
  const parts = readDatabaseUrl(url);
  if (parts === null || looseCode.test(url)) return new Refused('database_url_invalid');
  if (parts.hosts.length === 0) return new Refused('database_url_no_host');
  return parts.database === '' ? new Refused('database_url_no_database') : null;
};
