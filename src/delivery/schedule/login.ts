// Logins of one member: the accounts that may send, and whether each can send now.

import type { PostOutcome, TokenOutcome, LoginRefusal } from '../../service/reply/outcome';

/** Login of an account as the engine uses it: its token and a way to post. Neither promise ever rejects. */
export interface Login {
  readonly account: string;
  token(): Promise<TokenOutcome>;
  /** The service refused a request with this token. */
  refused(token: string): void;
  /** `mayLeave` is called right before the request is written; if it returns false, nothing is sent. */
  post(body: string, token: string, mayLeave: () => boolean): Promise<PostOutcome>;
  /** Network part of a round trip, in ms; 0 when unknown. */
  networkFloorMs(): number;
}

export type LoginState =
  /** No token was requested yet, or the last one expired. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'asking' }
  | { readonly kind: 'ready' }
  /** The account is being deployed; its entries wait for it for a while. */
  | { readonly kind: 'away' }
  /** Monotonic ms. */
  | { readonly kind: 'wait'; readonly untilMs: number; readonly code: string; readonly message: string }
  | { readonly kind: 'refused'; readonly code: LoginRefusal; readonly message: string };

interface Attached {
  login: Login;
  state: LoginState;
}

export class Logins {
  private readonly attached = new Map<string, Attached>();

  /** Attaches a new login of an account. A login with changed credentials starts in the state unknown. */
  attach(login: Login): void {
    this.attached.set(login.account, { login, state: { kind: 'unknown' } });
  }

  detach(account: string): void {
    this.attached.delete(account);
  }

  /** Nothing is known any more, except which accounts are away. */
  forgetStates(): void {
    for (const account of this.attached.keys()) this.setState(account, { kind: 'unknown' });
  }

  get(account: string): Login | null {
    return this.attached.get(account)?.login ?? null;
  }

  state(account: string): LoginState | null {
    return this.attached.get(account)?.state ?? null;
  }

  /** An account that is away stays away until it is attached again. */
  setState(account: string, state: LoginState): void {
    const attached = this.attached.get(account);
    if (attached !== undefined && attached.state.kind !== 'away') attached.state = state;
  }

  accounts(): string[] {
    return [...this.attached.keys()];
  }

  /**
   * The account whose login sends entries of `account`: its own, or any other of this member when that account
   * no longer exists. Null if there is none.
   */
  serving(account: string): string | null {
    if (this.attached.has(account)) return account;
    for (const other of this.attached.keys()) return other;
    return null;
  }

  isReady(account: string): boolean {
    return this.state(account)?.kind === 'ready';
  }

  /** Whether there are logins and all of them are refused. */
  get allRefused(): boolean {
    const states = [...this.attached.values()].map(({ state }) => state.kind);
    return states.includes('refused') && states.every((kind) => kind === 'refused' || kind === 'away');
  }

  /** Ends waits that are over: these logins ask for a token again. */
  expireWaits(nowMs: number): void {
    for (const attached of this.attached.values()) {
      if (attached.state.kind === 'wait' && attached.state.untilMs <= nowMs)
        attached.state = { kind: 'unknown' };
    }
  }

  /** Monotonic ms when the next wait is over, or Infinity. */
  nextAtMs(): number {
    let atMs = Infinity;
    for (const { state } of this.attached.values())
      if (state.kind === 'wait') atMs = Math.min(atMs, state.untilMs);
    return atMs;
  }

  /** Ends every wait now, because an operator asked for it. */
  endWaits(): void {
    this.expireWaits(Infinity);
  }
}
