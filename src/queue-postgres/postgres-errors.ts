// Errors of PostgreSQL, TLS and the network as QueueErrors, with a sentence for the person who runs Node-RED.

import { printable } from '../entry/foreign-text';
import { QueueError } from '../queue/store';
import type { Address } from './postgres-address';

type Sentence = 'unreachable' | 'login' | 'tls' | 'noDatabase' | 'rights' | 'standby' | Code;
type Code = Exclude<QueueError['code'], 'unavailable' | 'readonly' | 'encrypted'>;

/** Parameters of a sentence about a database; `schema` is the queue's. */
interface Place {
  readonly where: string;
  readonly schema: string;
  readonly database: string;
}

/**
 * SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html) with a meaning of their own here.
 */
const byState: Readonly<Record<string, Sentence>> = {
  '28000': 'login',
  '28P01': 'login',
  '3D000': 'noDatabase',
  '42501': 'rights',
  '25006': 'standby',
  '55P03': 'unreachable',
  '53100': 'full',
  XX001: 'damaged',
  XX002: 'damaged',
};
/** Classes of SQLSTATEs: connection, resources, operator intervention. */
const unreachableClasses = ['08', '53', '57'];

const tlsCodes =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Why a call failed, and whether it may have been carried out. */
export class CallError extends Error {
  constructor(
    readonly reason: unknown,
    /** `no`: certainly not. `unknown`: it was sent, and its result was lost. */
    readonly carriedOut: 'no' | 'unknown',
  ) {
    super('a call to the database failed');
  }

  /** '' when the error is not from the database. */
  get sqlState(): string {
    return stateOf(this.reason);
  }
}

/** Errors that end a connection, for servers whose severity is in another language. */
const endsConnection = /^(08|25P0[34]|57P|XX)/;

/** Whether the database refused the call and continues to serve this connection: nothing was changed. */
export function isRefusal(error: unknown): boolean {
  const state = stateOf(error);
  if (state === '' || !(error instanceof Error && 'severity' in error)) return false;
  // PostgreSQL translates the severity to the language of its log: ERROR is FEHLER, ERREUR, エラー.
  const { severity } = error;
  return (
    severity === 'ERROR' || (severity !== 'FATAL' && severity !== 'PANIC' && !endsConnection.test(state))
  );
}

/** Returns QueueErrors unchanged. The result shows no part of the login. */
export function toPostgresError(error: unknown, address: Address, schema: string): QueueError {
  const reason = error instanceof CallError ? error.reason : error;
  if (reason instanceof QueueError) return reason;
  return postgresError(sentenceOf(reason), detailOf(reason, address), address, schema);
}

export function postgresError(kind: Sentence, detail: string, address: Address, schema: string): QueueError {
  const { where, database } = address;
  return new QueueError(codeOf[kind], sentences[kind]({ where, schema, database }, detail));
}

/**
 * For a form, which has its own sentences. It distinguishes more cases, because `detail` is not in the reader's
 * language.
 */
export type Trouble = Sentence | 'unknownHost' | 'busy';

/** `detail` shows no part of the login. */
export function troubleOf(
  error: unknown,
  address: Address,
): { readonly trouble: Trouble; readonly detail: string } {
  const reason = error instanceof CallError ? error.reason : error;
  const code = reason instanceof Error && 'code' in reason ? String(reason.code) : '';
  const detail = detailOf(reason, address);
  if (/^(ENOTFOUND|EAI_\w+)$/.test(code)) return { trouble: 'unknownHost', detail };
  // No connection left, or starting up or shutting down.
  if (/^(53300|57P0[123])$/.test(code)) return { trouble: 'busy', detail };
  return { trouble: sentenceOf(reason), detail };
}

function sentenceOf(reason: unknown): Sentence {
  if (!(reason instanceof Error)) return 'failed';
  const state = stateOf(reason);
  if (state !== '') {
    if (state === '28000' && /no encryption|SSL off/.test(reason.message)) return 'tls';
    return byState[state] ?? (unreachableClasses.includes(state.slice(0, 2)) ? 'unreachable' : 'failed');
  }
  const code = 'code' in reason && typeof reason.code === 'string' ? reason.code : '';
  if (tlsCodes.test(code) || /\bSSL\b/.test(reason.message)) return 'tls';
  // An error of pg itself about a password that it cannot use.
  if (/SASL|password must be/i.test(reason.message)) return 'login';
  return 'unreachable';
}

function stateOf(reason: unknown): string {
  const isFromServer = reason instanceof Error && 'severity' in reason && 'code' in reason;
  return isFromServer ? String(reason.code) : '';
}

/** First line of the message. A password that the message repeats is removed. */
function detailOf(reason: unknown, { password }: Address): string {
  const state = stateOf(reason);
  const first = reason instanceof AggregateError ? (reason.errors as unknown[])[0] : reason;
  let text = (first instanceof Error ? first.message : String(first)).split('\n', 1)[0]!;
  if (password !== undefined) {
    for (const secret of [password, encodeURIComponent(password)]) text = text.replaceAll(secret, '***');
  }
  text = printable(text, 300);
  return state === '' ? text : `${text}, SQLSTATE ${state}`;
}

const codeOf: Readonly<Record<Sentence, QueueError['code']>> = {
  unreachable: 'unavailable',
  login: 'unavailable',
  tls: 'unavailable',
  noDatabase: 'unavailable',
  rights: 'readonly',
  standby: 'readonly',
  full: 'full',
  damaged: 'damaged',
  locked: 'locked',
  newer_version: 'newer_version',
  closed: 'closed',
  fenced: 'fenced',
  failed: 'failed',
};

const sentences: Readonly<Record<Sentence, (place: Place, detail: string) => string>> = {
  unreachable: ({ where }, detail) =>
    `The shared queue's database cannot be reached at ${where} (${detail}). Check that it runs, and the ` +
    'network. It is tried again automatically.',
  login: ({ where }, detail) =>
    `The shared queue's database at ${where} refuses the login (${detail}). Check user and password in the ` +
    "account, and the server's pg_hba.conf.",
  tls: ({ where }, detail) =>
    `The shared queue's database at ${where} and Node-RED do not agree on TLS (${detail}). Check the account's TLS ` +
    "settings and `sslmode` in the database's address: the server may demand TLS, have none, or show a certificate " +
    'that is not trusted.',
  noDatabase: ({ where }, detail) =>
    `The shared queue's database does not exist at ${where} (${detail}). Create it, or correct the address.`,
  rights: ({ where, schema, database }, detail) =>
    `The shared queue's user lacks a right in the database at ${where} (${detail}). As its owner run ` +
    `GRANT CREATE ON DATABASE "${database}" TO the user, or CREATE SCHEMA "${schema}" AUTHORIZATION the user.`,
  standby: ({ where }, detail) =>
    `The shared queue's database at ${where} accepts no changes (${detail}): it is a standby, or read-only. Enter ` +
    'the address of the primary, or list all servers separated by commas.',
  full: ({ where }, detail) =>
    `The disk of the shared queue's database at ${where} is full (${detail}). Queued entries are safe. Free ` +
    'some space; then new entries are accepted again.',
  damaged: ({ where, schema }, detail) =>
    `The shared queue in schema "${schema}" of the database at ${where} is damaged (${detail}). It stays unchanged. ` +
    'Restore it from a backup, or rename the schema to start with an empty queue.',
  locked: ({ where, schema }, detail) =>
    `The shared queue in schema "${schema}" of the database at ${where} is in use (${detail}). Nothing was changed; stop ` +
    'the Node-RED that uses it, and try again a minute later.',
  newer_version: ({ where, schema }, detail) =>
    `The shared queue in schema "${schema}" of the database at ${where} was written by a newer version of this ` +
    `package (${detail}). It stays unchanged. Install that version here, too.`,
  closed: ({ where }) => `The shared queue at ${where} is closed.`,
  fenced: ({ where }, detail) =>
    `Another Node-RED sends from the shared queue at ${where} now (${detail}). Nothing was changed.`,
  failed: ({ where }, detail) =>
    `The shared queue's database at ${where} could not carry out a request (${detail}). Nothing was changed. Its ` +
    'log may have details.',
};
