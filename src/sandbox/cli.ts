#!/usr/bin/env node
// Command `instant-audience-sandbox`: runs the sandbox as a program, for tests of other clients.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readFaults, type Fault } from './faults';
import { documentedLimits, startSandbox, type Limits, type SandboxOptions } from './sandbox';
import { isObject, parseJson } from './wire';

const help = `Usage: instant-audience-sandbox [options]

A local simulation of the Instant Audience Service on 127.0.0.1, to try and test clients without an account.

  --port N          port to listen on (default 8080; 0 selects a free one)
  --users FILE      JSON file of {"name": "password"}; without it any login is accepted
  --key NAME=FILE   RSA public key (PEM) for signed tokens; may be repeated; without it any key is accepted
  --auth-limit N    successful authentications of a login in 5 minutes (default 10), or none
  --limits JSON     such as '{"postsPerSecond":50}', or none; names: ${Object.keys(documentedLimits).join(', ')}
  --latency MS      delay of every call, half of it before the call takes effect: 40 or 20-60
  --warm-up MINUTES time in which a segment made with POST /segment accepts no users (default 20)
  --default-expiration MINUTES
                    expiration where neither block nor segment has one (default 43200; 0 never expires)
  --processing-delay SECONDS
                    time until a post appears in the usage statistics (default 0)
  --faults JSON     such as '[{"kind":"lostReply","probability":0.1},{"kind":"status","status":503,"count":3}]'
  --seed N          seed of the random numbers for faults, for repeatable runs (default 1)
  --help            this text
`;

/** A wrong option on the command line; shown without a stack. */
class UsageError extends Error {}

function readOptions(args: readonly string[]): SandboxOptions | 'help' {
  const values = readArgs(args);
  if (values.help === true) return 'help';
  const { users, key, limits } = values;
  const integer = (name: IntegerOption, max: number) => readInteger(`--${name}`, values[name], max);
  const options = {
    port: integer('port', 65_535) ?? 8080,
    seed: integer('seed', 4_294_967_295) ?? 1,
    authLimit: values['auth-limit'] === 'none' ? Infinity : integer('auth-limit', 1_000_000),
    warmUpMinutes: integer('warm-up', 1_440),
    defaultExpirationMinutes: integer('default-expiration', 5_256_000),
    processingDelayMs: (integer('processing-delay', 86_400) ?? 0) * 1000,
    faults: [...readLatency(values.latency), ...readFaultList(values.faults)],
    users: users === undefined ? undefined : readUsers(users),
    keys: key === undefined ? undefined : readKeys(key),
    limits: limits === undefined ? undefined : readLimits(limits),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

type IntegerOption = 'port' | 'seed' | 'auth-limit' | 'warm-up' | 'default-expiration' | 'processing-delay';

function readArgs(args: readonly string[]) {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: text,
        users: text,
        key: { type: 'string', multiple: true },
        'auth-limit': text,
        limits: text,
        latency: text,
        'warm-up': text,
        'default-expiration': text,
        'processing-delay': text,
        faults: text,
        seed: text,
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'The options cannot be read');
  }
}

function readInteger(option: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  throw new UsageError(`${option} must be a whole number from 0 to ${max}, not "${text}"`);
}

function readLatency(text: string | undefined): Fault[] {
  if (text === undefined) return [];
  const parts = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text);
  if (!parts) throw new UsageError(`--latency must be milliseconds such as 40 or 20-60, not "${text}"`);
  const half: [number, number] = [Number(parts[1]) / 2, Number(parts[2] ?? parts[1]) / 2];
  return checkFaults('--latency', [{ kind: 'latency', beforeMs: half, afterMs: half, on: 'any' }]);
}

function readFaultList(text: string | undefined): Fault[] {
  return text === undefined ? [] : checkFaults('--faults', parseJson(text));
}

function checkFaults(option: string, value: unknown): Fault[] {
  try {
    return readFaults(value);
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : 'these are not faults'}`);
  }
}

function readLimits(text: string): Partial<Limits> {
  const names = Object.keys(documentedLimits);
  if (text === 'none') return Object.fromEntries(names.map((name) => [name, Infinity]));
  const limits = parseJson(text);
  if (!isObject(limits)) throw new UsageError('--limits must be a JSON object, or none');
  for (const [name, value] of Object.entries(limits)) {
    if (!names.includes(name))
      throw new UsageError(`--limits: unknown name "${name}"; the names are ${names.join(', ')}`);
    if (!Number.isInteger(value) || (value as number) < 0) {
      throw new UsageError(`--limits: ${name} must be a whole number of at least 0`);
    }
  }
  return limits;
}

function readUsers(path: string): Record<string, string> {
  const users = parseJson(readText('--users', path));
  const isValid = isObject(users) && Object.values(users).every((password) => typeof password === 'string');
  if (!isValid) throw new UsageError(`--users: ${path} must contain JSON such as {"name": "password"}`);
  return users as Record<string, string>;
}

function readKeys(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 1) throw new UsageError(`--key must be NAME=FILE, not "${pair}"`);
      return [pair.slice(0, equals), readText('--key', pair.slice(equals + 1))];
    }),
  );
}

function readText(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${option}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
    );
  }
}

function greeting(url: string, anyLogin: boolean): string {
  const [name, password] = anyLogin ? ['me', 'secret'] : ['NAME', 'PASSWORD'];
  const block = '{"seg_id":10001,"value":1,"expiration":1440}';
  return `The sandbox of the Instant Audience Service listens at ${url}

In an account of Node-RED: Custom addresses, both URLs ${url}, member ID 1${anyLogin ? ', any username and password' : ''}.

Try:
  TOKEN=$(curl -s ${url}/auth -d '{"auth":{"username":"${name}","password":"${password}"}}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
  curl -s ${url}/rt-segment -H "Authorization: $TOKEN" -d '{"rt_segment":[{"user_id":"12345678900987654321","seg_block":[${block}]}]}'
  curl -s '${url}/sandbox/members?segment=10001'
  curl -s -X PUT ${url}/sandbox/faults -d '[{"kind":"status","status":503,"count":3}]'

Stop it with Ctrl-C.
`;
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(help);
    return;
  }
  const sandbox = await startSandbox(options);
  process.stdout.write(greeting(sandbox.url, options.users === undefined));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void sandbox.close());
  }
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof UsageError ? ' (--help shows the options)' : '';
  process.stderr.write(`instant-audience-sandbox: ${message}${hint}\n`);
  process.exitCode = 1;
});
