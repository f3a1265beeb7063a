// A read with a token, and once more with a fresh one where the first is dead (spec section 3, "Refusals").
import type { ReadOutcome, TokenOutcome } from './outcome';

/** The part of a TokenKeeper that reads need. */
export interface TokenSource {
  token(): Promise<TokenOutcome>;
  refused(token: string): void;
}

/** Never rejects unless `read` does. */
export async function readWithToken<T>(
  source: TokenSource,
  read: (token: string) => Promise<ReadOutcome<T>>,
): Promise<ReadOutcome<T>> {
  const first = await source.token();
  if (first.kind !== 'token') return ofNoToken(first);
  const outcome = await read(first.token);
  if (outcome.kind !== 'deadToken') return outcome;
  source.refused(first.token);
  const second = await source.token();
  return second.kind === 'token' ? read(second.token) : ofNoToken(second);
}

function ofNoToken(outcome: Exclude<TokenOutcome, { kind: 'token' }>) {
  if (outcome.kind === 'loginRefused') return outcome;
  const { code, message, retryAfterMs } = outcome;
  return code === 'authentication_limit' || code === 'rate_limited'
    ? ({ kind: 'rateLimited', retryAfterMs, message } as const)
    : ({ kind: 'passing', ambiguous: false, code, message } as const);
}
