// Numbers of users in the sandbox's segments, for the tab; counted only while a tab is open, at most every 5 seconds.

import type { Sandbox, SharedSandbox } from '../../src/sandbox/index';

export interface ShownSegment {
  readonly segment: string;
  readonly name: string | null;
  readonly count: number;
}

const countEveryMs = 5_000;

let running: { readonly of: Promise<Sandbox>; sandbox: Sandbox | null } | null = null;
let counted: { atMs: number; segments: readonly ShownSegment[] } = { atMs: -Infinity, segments: [] };

/** Null when no sandbox runs. */
export function segmentsOf(shared: SharedSandbox): readonly ShownSegment[] | null {
  const current = shared.current();
  if (current === null) return null;
  if (running?.of !== current) follow(current);
  const sandbox = running?.sandbox ?? null;
  if (sandbox === null) return [];
  const nowMs = performance.now();
  if (nowMs >= counted.atMs + countEveryMs) {
    const segments = sandbox.members().map(({ segment, name, count }) => ({ segment, name, count }));
    counted = { atMs: nowMs, segments };
  }
  return counted.segments;
}

function follow(current: Promise<Sandbox>): void {
  const followed: { of: Promise<Sandbox>; sandbox: Sandbox | null } = { of: current, sandbox: null };
  running = followed;
  current.then(
    (sandbox) => (followed.sandbox = sandbox),
    () => undefined,
  );
}
