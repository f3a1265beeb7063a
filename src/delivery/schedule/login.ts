// The accounts whose logins may send for one member, and whether each can send now.

import type { PostOutcome, TokenOutcome, LoginRefusal } from '../../service/reply/outcome';

/** What the engine needs of an account: its token and a way to post. Neither ever rejects. */
export interface Login {
  readonly account: string;
  token(): Promise<TokenOutcome>;
  /** A post was refused with this token. */
  refused(token: string): void;
  /** `mayLeave` is asked right before the request is written: when it says no, nothing leaves. */
  post(body: string, token: string, mayLeave: () => boolean): Promise<PostOutcome>;
  /** The part of a round trip that is the network's own, in ms, 0 when unknown. */
  networkFloorMs(): number;
}

export type LoginState =
  /** No token was asked for yet, or the last one died. */
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

  /** A new login of an account; one with changed credentials starts afresh. */
  attach(login: Login): void {
    this.attached.set(login.account, { login, state: { kind: 'unknown' } });
  }

  detach(account: string): void {
    this.attached.delete(account);
  }

  get(account: string): Login | null {
    return this.attached.get(account)?.login ?? null;
  }

  state(account: string): LoginState | null {
    return this.attached.get(account)?.state ?? null;
  }

  /** One that is away stays so until it is attached again. */
  setState(account: string, state: LoginState): void {
    const attached = this.attached.get(account);
    if (attached !== undefined && attached.state.kind !== 'away') attached.state = state;
  }

  accounts(): string[] {
    return [...this.attached.keys()];
  }

  /**
   * The account whose login sends an entry of `account`: its own, or, when that account is gone, any other of
   * this member. Null when there is none.
   */
  serving(account: string): string | null {
    if (this.attached.has(account)) return account;
    for (const other of this.attached.keys()) return other;
    return null;
  }

  isReady(account: string): boolean {
    return this.state(account)?.kind === 'ready';
  }

  /** Whether there are logins, and none of them may ever send again as it is. */
  get allRefused(): boolean {
    const states = [...this.attached.values()].map(({ state }) => state.kind);
    return states.includes('refused') && states.every((kind) => kind === 'refused' || kind === 'away');
  }

  /** Lets waits that are over ask again. */
  expireWaits(nowMs: number): void {
    for (const attached of this.attached.values()) {
      if (attached.state.kind === 'wait' && attached.state.untilMs <= nowMs)
        attached.state = { kind: 'unknown' };
    }
  }

  /** When the next wait is over, or Infinity. */
  nextAtMs(): number {
    let atMs = Infinity;
    for (const { state } of this.attached.values())
      if (state.kind === 'wait') atMs = Math.min(atMs, state.untilMs);
    return atMs;
  }

  /** Ends every wait now (an operator asked). */
  endWaits(): void {
    this.expireWaits(Infinity);
  }
}
