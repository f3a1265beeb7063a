// Scripted trouble: what is to go wrong, how often, and on which calls.
import { z } from 'zod';
import { errorIds, errorReply, rateLimitForms } from './reply';

/** The service's calls; faults name them in `on`. `auth` is either way of authenticating. */
const routeNames = ['post', 'auth', 'usage', 'segments'] as const;
export type RouteName = (typeof routeNames)[number];

const ms = z.number().min(0).max(3_600_000);
const delay = z.union([
  ms,
  z.tuple([ms, ms]).refine(([least, most]) => least <= most, 'must be [least, most]'),
]);
const often = {
  /** Chance per call, 0 … 1; absent is always. */
  probability: z.number().min(0).max(1).optional(),
  /** How many times it may happen; absent is without end. */
  count: z.int().min(1).optional(),
  /** Which calls; absent is `post`. */
  on: z.enum([...routeNames, 'any']).optional(),
};

const faultSchema = z.discriminatedUnion('kind', [
  /** Milliseconds before and after the call takes effect, fixed or `[least, most]`. Adds to other faults. */
  z.strictObject({
    kind: z.literal('latency'),
    beforeMs: delay.optional(),
    afterMs: delay.optional(),
    ...often,
  }),
  /** An HTTP status with a plain body; 429 is `rateLimit`. `applied`: the call takes effect all the same. */
  z.strictObject({
    kind: z.literal('status'),
    status: z.int().min(400).max(599),
    applied: z.boolean().optional(),
    ...often,
  }),
  /** Rate limited though it was not; `as` is the sandbox's own form unless said. */
  z.strictObject({ kind: z.literal('rateLimit'), as: z.enum(rateLimitForms).optional(), ...often }),
  /** The service's own refusal, with HTTP 200 unless said. */
  z.strictObject({
    kind: z.literal('error'),
    errorId: z.enum(errorIds),
    status: z.int().min(200).max(599).optional(),
    ...often,
  }),
  /** Refuses a body as a whole, with 400 unless said, when it speaks of one of these users. */
  z.strictObject({
    kind: z.literal('poison'),
    userIds: z.array(z.string()).min(1),
    status: z.int().min(200).max(499).optional(),
    ...often,
  }),
  /** The connection breaks before anything is applied. */
  z.strictObject({ kind: z.literal('drop'), ...often }),
  /** Applied, then the connection breaks. */
  z.strictObject({ kind: z.literal('lostReply'), ...often }),
  /** The connection breaks at once; applied `afterMs` later. */
  z.strictObject({ kind: z.literal('lateApply'), afterMs: ms, ...often }),
  /** All tokens die, just before the call; without `probability` and `count` once, when it is set. */
  z.strictObject({ kind: z.literal('deadToken'), ...often }),
  /** A reply that is not JSON; `applied` unless false. */
  z.strictObject({ kind: z.literal('garbage'), applied: z.boolean().optional(), ...often }),
]);

export type Fault = z.infer<typeof faultSchema>;

/** A fault that decides how a call ends; latency only delays. */
export type Effect = Exclude<Fault, { kind: 'latency' }>;

/** What is to go wrong with one call. */
export interface Plan {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly effect: Effect | null;
}

const uneventful: Plan = { beforeMs: 0, afterMs: 0, effect: null };

/** Reads a list of faults; throws a sentence that says where it went wrong. */
export function readFaults(value: unknown): Fault[] {
  const read = z.array(faultSchema).safeParse(value);
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  throw new Error(`faults${where}: ${message}`);
}

/** A fault as it stands: `fired` is how many times it has happened. */
export type FaultState = Fault & { readonly fired: number };

/** The faults of a running sandbox. Faults are asked in order: latencies add up, the first other one decides. */
export class Faults {
  #list: { fault: Fault; fired: number }[] = [];
  #random: () => number;

  constructor(
    private readonly onDeadTokens: () => void,
    seed: number,
  ) {
    this.#random = seededRandom(seed);
  }

  /** Replaces all faults, and starts the dice over when a seed is given. Throws a sentence for a fault that is none. */
  set(faults: readonly Fault[], seed?: number): void {
    const read = readFaults(faults);
    if (seed !== undefined) this.#random = seededRandom(seed);
    this.#list = [];
    for (const fault of read) this.#take(fault);
  }

  /** Adds one behind the others. */
  add(fault: Fault): void {
    for (const read of readFaults([fault])) this.#take(read);
  }

  clear(): void {
    this.#list = [];
  }

  list(): FaultState[] {
    return this.#list.map(({ fault, fired }) => ({ ...fault, fired }));
  }

  /** All tokens die now. */
  killTokens(): void {
    this.onDeadTokens();
  }

  /** Throws the dice for one call; `mentions` says whether its body speaks of any of the users. */
  plan(route: RouteName, mentions: (userIds: ReadonlySet<string>) => boolean): Plan {
    if (this.#list.length === 0) return uneventful;
    let [beforeMs, afterMs] = [0, 0];
    let effect: Effect | null = null;
    for (const entry of this.#list) {
      const { fault } = entry;
      if (fault.kind !== 'latency' && effect !== null) continue;
      if (!this.#happens(entry, route, mentions)) continue;
      entry.fired += 1;
      if (fault.kind === 'latency') {
        beforeMs += this.#draw(fault.beforeMs);
        afterMs += this.#draw(fault.afterMs);
      } else {
        effect = fault;
      }
    }
    return { beforeMs, afterMs, effect };
  }

  #take(fault: Fault): void {
    const atOnce = fault.kind === 'deadToken' && fault.probability === undefined && fault.count === undefined;
    if (atOnce) this.killTokens();
    else this.#list.push({ fault, fired: 0 });
  }

  #happens(
    { fault, fired }: { fault: Fault; fired: number },
    route: RouteName,
    mentions: (userIds: ReadonlySet<string>) => boolean,
  ): boolean {
    const on = fault.on ?? 'post';
    if (on !== 'any' && on !== route) return false;
    if (fault.count !== undefined && fired >= fault.count) return false;
    if (fault.kind === 'poison' && !mentions(new Set(fault.userIds))) return false;
    return fault.probability === undefined || this.#random() < fault.probability;
  }

  #draw(range: number | readonly [number, number] | undefined): number {
    if (range === undefined) return 0;
    if (typeof range === 'number') return range;
    return range[0] + this.#random() * (range[1] - range[0]);
  }
}

/** The reply by which a fault refuses a call. */
export function plainFailure(status: number): {
  status: number;
  body: string;
  headers: Record<string, string>;
} {
  return { status, body: `sandbox: scripted ${status}\n`, headers: { 'content-type': 'text/plain' } };
}

export const poisoned = (status: number) =>
  errorReply(status, 'SYNTAX', 'Something in this body is not acceptable');

/** mulberry32: the same seed gives the same run. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
