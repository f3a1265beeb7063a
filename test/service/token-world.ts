// A machine with clocks, a disk and a service, on which token keepers log in.
import assert from 'node:assert/strict';
import type { Login } from '../../src/service/login/login';
import { LoginCount } from '../../src/service/login/login-count';
import { LoginTimes } from '../../src/service/login/login-times';
import type { AuthOutcome, TokenOutcome } from '../../src/service/reply/outcome';
import { TokenKeeper } from '../../src/service/login/tokens';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
type PasswordLogin = Extract<Login, { readonly method: 'password' }>;
export const jo: PasswordLogin = { method: 'password', username: 'jo', password: 'secret' };
export const ann: PasswordLogin = { method: 'password', username: 'ann', password: 'secret' };
export const retriable = (ambiguous?: boolean): AuthOutcome => ({
  kind: 'retriable',
  code: 'timeout',
  message: 'No answer in time.',
  ...(ambiguous !== undefined && { ambiguous }),
});
export const refusal = (code: 'NOAUTH' | 'NOAUTH_DISABLED'): AuthOutcome => ({
  kind: 'loginRefused',
  code,
  message: 'The service refused the login.',
});

/** A simulated machine with clocks, a disk, a service and one process at a time. */
export class World {
  /** Real time, which no process can read. */
  trueMs = 0;
  wallOffsetMs = 1_700_000_000_000;
  text: string | null = null;
  diskWorks = true;
  random = 0.5;
  /** Real times at which the service issued a token. */
  given: number[] = [];
  calls: Login[] = [];
  answer: (login: Login) => AuthOutcome | Promise<AuthOutcome> = () => this.give();
  logins!: LoginCount;
  keeper = this.start(jo);

  /** Times of logins on the disk, epoch ms. */
  get disk(): readonly number[] {
    return Object.values(JSON.parse(this.text ?? '{}') as Record<string, number>);
  }

  set disk(times: readonly number[]) {
    this.text = JSON.stringify(Object.fromEntries(times.map((atMs, n) => [`login ${n}`, atMs])));
  }

  private written<T>(work: () => T): Promise<T> {
    return this.diskWorks ? Promise.resolve(work()) : Promise.reject(new Error('disk'));
  }

  start(login: Login): TokenKeeper {
    const bootMs = this.trueMs;
    const clock = {
      monoMs: () => this.trueMs - bootMs,
      wallMs: () => this.trueMs + this.wallOffsetMs,
    };
    const store = new LoginTimes(
      {
        getMeta: () => this.written(() => this.text),
        setMeta: (_, text) => this.written(() => void (this.text = text)),
      },
      clock.wallMs,
    );
    this.logins = new LoginCount('jo', clock, () => [store]);
    this.keeper = new TokenKeeper({
      login,
      authenticate: async (one) => {
        this.calls.push(one);
        return this.answer(one);
      },
      clock,
      random: () => this.random,
      logins: this.logins,
      loginStore: store,
    });
    return this.keeper;
  }

  give(): AuthOutcome {
    this.given.push(this.trueMs);
    return { kind: 'token', token: `t${this.given.length}` };
  }

  async token(): Promise<string> {
    const outcome = await this.keeper.token();
    assert.ok(outcome.kind === 'token', JSON.stringify(outcome));
    return outcome.token;
  }

  async waits(): Promise<Extract<TokenOutcome, { kind: 'wait' }>> {
    const outcome = await this.keeper.token();
    assert.ok(outcome.kind === 'wait', JSON.stringify(outcome));
    return outcome;
  }
}

/** A promise that the test resolves. */
export function latch<T>() {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => (open = resolve));
  return { promise, open: (value: T) => open(value) };
}

export async function ticks(): Promise<void> {
  for (let n = 0; n < 60; n += 1) await Promise.resolve();
}
