// Time as the sandbox sees it; tests hand in a clock of their own.

export interface SandboxClock {
  /** Monotonic milliseconds: quotas, tokens and delays go by it. */
  monoMs(): number;
  /** Epoch milliseconds: memberships expire by it, and usage statistics count hours of it. */
  wallMs(): number;
  /** Calls once after `delayMs`; returns what cancels it. */
  after(delayMs: number, call: () => void): () => void;
}

export const systemClock: SandboxClock = {
  monoMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};
