// readWithToken: one retry with a new token, one after a short wait, and outcomes without a token.
import assert from 'node:assert/strict';
import { ServiceClient } from '../../src/service/client';
import type { TokenOutcome } from '../../src/service/reply/outcome';
import { readWithToken } from '../../src/service/http/read-with-token';
import { login, sandboxes } from '../sandbox/helpers';

function source(...outcomes: TokenOutcome[]) {
  const refused: string[] = [];
  const accepted: string[] = [];
  return {
    refused,
    accepted,
    tokens: {
      token: () => Promise.resolve(outcomes.shift()!),
      refused: (token: string) => refused.push(token),
      accepted: (token: string) => accepted.push(token),
    },
  };
}

const token = (text: string) => ({ kind: 'token', token: text }) as const;
const dead = { kind: 'deadToken', message: 'dead' } as const;
const seven = { kind: 'read', value: 7 } as const;

describe('a read with a token', () => {
  it('is repeated once, with a new token, when the first is dead', async () => {
    const { tokens, refused, accepted } = source(token('a'), token('b'));
    const outcome = await readWithToken(tokens, (text) => Promise.resolve(text === 'a' ? dead : seven));
    assert.deepEqual([outcome, refused, accepted], [seven, ['a'], ['b']]);
  });

  it('is not repeated twice', async () => {
    const { tokens } = source(token('a'), token('b'));
    assert.deepEqual(await readWithToken(tokens, () => Promise.resolve(dead)), dead);
  });

  it('is repeated once after a short wait that the service asks for, and not after a long one', async () => {
    const limited = (retryAfterMs: number) =>
      ({ kind: 'rateLimited', retryAfterMs, message: 'slower' }) as const;
    const outcomes = [limited(30), seven, limited(30), limited(30), limited(60_000)];
    const atMs: number[] = [];
    const read = () => {
      atMs.push(performance.now());
      return Promise.resolve(outcomes.shift()!);
    };
    const { tokens } = source(...Array.from({ length: 5 }, () => token('a')));
    assert.deepEqual(await readWithToken(tokens, read), seven);
    assert.ok(atMs[1]! - atMs[0]! >= 29, `${atMs[1]! - atMs[0]!} ms`);
    assert.deepEqual(await readWithToken(tokens, read), limited(30));
    assert.deepEqual(await readWithToken(tokens, read), limited(60_000));
    assert.equal(atMs.length, 5);
  });

  it('returns why there is no token', async () => {
    const refusal = { kind: 'loginRefused', code: 'NOAUTH', message: 'wrong' } as const;
    const wait = (code: string) => ({ kind: 'wait', code, message: 'later', retryAfterMs: 300_000 }) as const;
    const read = () => Promise.resolve(seven);
    assert.deepEqual(await readWithToken(source(refusal).tokens, read), refusal);
    assert.deepEqual(await readWithToken(source(wait('authentication_limit')).tokens, read), {
      kind: 'rateLimited',
      retryAfterMs: 300_000,
      message: 'later',
    });
    const retriable = { kind: 'retriable', ambiguous: false, code: 'dns', message: 'later' };
    assert.deepEqual(await readWithToken(source(wait('dns')).tokens, read), retriable);
  });
});

describe('reads of usage statistics', () => {
  const start = sandboxes();

  it('stay within the service’s limit, however many start at once', async function () {
    this.timeout(20_000);
    const sandbox = await start();
    const client = new ServiceClient({ authUrl: sandbox.url, serviceUrl: sandbox.url });
    const text = await login(sandbox.url);
    const outcomes = await Promise.all(Array.from({ length: 1_500 }, () => client.usage({}, text)));
    await client.close();
    assert.deepEqual([...new Set(outcomes.map(({ kind }) => kind))], ['read']);
    const { worst, totals } = sandbox.peaks();
    assert.equal(totals.gets, 1_500);
    assert.ok(worst.getsPerSecond <= 1_000, String(worst.getsPerSecond));
    assert.ok(worst.concurrent <= 15, String(worst.concurrent));
  });
});
