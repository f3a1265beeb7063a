// Reads with a token: repeats once with a new token if the first is dead, and once after a short wait that the service
// asks for (service.md 3.4).
import type { ReadOutcome, TokenOutcome } from '../reply/outcome';

/** The part of a TokenKeeper that reads need. */
export interface TokenSource {
  token(): Promise<TokenOutcome>;
  refused(token: string): void;
  accepted(token: string): void;
}

/** A longer wait is returned as an outcome, since a person may be waiting for the answer in a form. */
const maxWaitMs = 10_000;

/** Never rejects unless `read` does. */
export async function readWithToken<T>(
  source: TokenSource,
  read: (token: string) => Promise<ReadOutcome<T>>,
): Promise<ReadOutcome<T>> {
  const outcome = await readNow(source, read);
  if (outcome.kind !== 'rateLimited' || outcome.retryAfterMs > maxWaitMs) return outcome;
  await new Promise((resolve) => void setTimeout(resolve, outcome.retryAfterMs));
  return readNow(source, read);
}

async function readNow<T>(
  source: TokenSource,
  read: (token: string) => Promise<ReadOutcome<T>>,
): Promise<ReadOutcome<T>> {
  const first = await source.token();
  if (first.kind !== 'token') return withoutToken(first);
  const outcome = await readBy(source, first.token, read);
  if (outcome.kind !== 'deadToken') return outcome;
  source.refused(first.token);
  const second = await source.token();
  return second.kind === 'token' ? readBy(source, second.token, read) : withoutToken(second);
}

async function readBy<T>(
  source: TokenSource,
  token: string,
  read: (token: string) => Promise<ReadOutcome<T>>,
): Promise<ReadOutcome<T>> {
  const outcome = await read(token);
  if (outcome.kind === 'read') source.accepted(token);
  return outcome;
}

function withoutToken(outcome: Exclude<TokenOutcome, { kind: 'token' }>) {
  if (outcome.kind === 'loginRefused') return outcome;
  const { code, message, retryAfterMs } = outcome;
  return code === 'authentication_limit' || code === 'rate_limited'
    ? ({ kind: 'rateLimited', retryAfterMs, message } as const)
    : ({ kind: 'retriable', ambiguous: false, code, message } as const);
}
