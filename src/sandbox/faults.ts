// Scripted faults of the sandbox: their kinds, their frequency, and the calls that they affect.
import { z } from 'zod';
import { errorIds, errorReply, rateLimitForms } from './wire';

/** The service's calls, by the names used in `on`. `auth` covers both kinds of authentication. */
const routeNames = ['post', 'auth', 'usage', 'segments'] as const;
export type RouteName = (typeof routeNames)[number];

const ms = z.number().min(0).max(3_600_000);
const delay = z.union([ms, z.tuple([ms, ms]).refine(([min, max]) => min <= max, 'must be [min, max]')]);
const frequency = {
  /** Probability for each call, 0 … 1; 1 when absent. */
  probability: z.number().min(0).max(1).optional(),
  /** How often the fault may occur; unlimited when absent. */
  count: z.int().min(1).optional(),
  /** The affected calls; `post` when absent. */
  on: z.enum([...routeNames, 'any']).optional(),
};

const faultSchema = z.discriminatedUnion('kind', [
  /** Delays in ms before and after the call takes effect, fixed or `[min, max]`. Combines with other faults. */
  z.strictObject({
    kind: z.literal('latency'),
    beforeMs: delay.optional(),
    afterMs: delay.optional(),
    ...frequency,
  }),
  /** Replies with an HTTP status and a plain body; 429 is `rateLimit`. With `applied` the call still takes effect. */
  z.strictObject({
    kind: z.literal('status'),
    status: z.int().min(400).max(599),
    applied: z.boolean().optional(),
    ...frequency,
  }),
  /** Replies as if the limit were exceeded, in the form `as`, or else in the sandbox's own form. */
  z.strictObject({ kind: z.literal('rateLimit'), as: z.enum(rateLimitForms).optional(), ...frequency }),
  /** Replies with a refusal in the service's own form, with HTTP 200 by default. */
  z.strictObject({
    kind: z.literal('error'),
    errorId: z.enum(errorIds),
    status: z.int().min(200).max(599).optional(),
    ...frequency,
  }),
  /** Refuses a whole body that contains one of these users, with HTTP 400 by default. */
  z.strictObject({
    kind: z.literal('poison'),
    userIds: z.array(z.string()).min(1),
    status: z.int().min(200).max(499).optional(),
    ...frequency,
  }),
  /** Breaks the connection and applies nothing. */
  z.strictObject({ kind: z.literal('drop'), ...frequency }),
  /** Applies the call, then breaks the connection. */
  z.strictObject({ kind: z.literal('lostReply'), ...frequency }),
  /** Breaks the connection at once, and applies the call `afterMs` later. */
  z.strictObject({ kind: z.literal('lateApply'), afterMs: ms, ...frequency }),
  /** Invalidates all tokens just before the call; without `probability` and `count`, once, when the fault is set. */
  z.strictObject({ kind: z.literal('deadToken'), ...frequency }),
  /** Replies with text that is not JSON; applies the call unless `applied` is false. */
  z.strictObject({ kind: z.literal('garbage'), applied: z.boolean().optional(), ...frequency }),
]);

export type Fault = z.infer<typeof faultSchema>;

/** A fault that determines the end of a call; latency only delays it. */
export type Effect = Exclude<Fault, { kind: 'latency' }>;

/** The faults chosen for one call. */
export interface Plan {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly effect: Effect | null;
}

const withoutFaults: Plan = { beforeMs: 0, afterMs: 0, effect: null };

/** Parses a list of faults. @throws Error with the place and a sentence, such as `faults[1].status: …` */
export function readFaults(value: unknown): Fault[] {
  const read = z.array(faultSchema).safeParse(value);
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  throw new Error(`faults${where}: ${message}`);
}

/** A fault with `fired`, the number of its occurrences. */
export type FaultState = Fault & { readonly fired: number };

/** The faults of a running sandbox, tried in order: latencies add up, the first other fault that occurs decides. */
export class Faults {
  #list: { fault: Fault; fired: number }[] = [];
  #random: () => number;

  constructor(
    private readonly onDeadTokens: () => void,
    seed: number,
  ) {
    this.#random = seededRandom(seed);
  }

  /** Replaces all faults, and restarts the random numbers if a seed is given. @throws Error as `readFaults` */
  set(faults: readonly Fault[], seed?: number): void {
    const read = readFaults(faults);
    if (seed !== undefined) this.#random = seededRandom(seed);
    this.#list = [];
    for (const fault of read) this.#append(fault);
  }

  /** Appends a fault. @throws Error as `readFaults` */
  add(fault: Fault): void {
    for (const read of readFaults([fault])) this.#append(read);
  }

  clear(): void {
    this.#list = [];
  }

  list(): FaultState[] {
    return this.#list.map(({ fault, fired }) => ({ ...fault, fired }));
  }

  /** Invalidates all tokens now. */
  killTokens(): void {
    this.onDeadTokens();
  }

  /** Chooses the faults of one call; `mentions` returns whether its body contains any of the users. */
  plan(route: RouteName, mentions: (userIds: ReadonlySet<string>) => boolean): Plan {
    if (this.#list.length === 0) return withoutFaults;
    let [beforeMs, afterMs] = [0, 0];
    let effect: Effect | null = null;
    for (const entry of this.#list) {
      const { fault } = entry;
      if (fault.kind !== 'latency' && effect !== null) continue;
      if (!this.#occurs(entry, route, mentions)) continue;
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

  #append(fault: Fault): void {
    const atOnce = fault.kind === 'deadToken' && fault.probability === undefined && fault.count === undefined;
    if (atOnce) this.killTokens();
    else this.#list.push({ fault, fired: 0 });
  }

  #occurs(
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

/** The reply of the fault `status`. */
export function plainFailure(status: number): {
  status: number;
  body: string;
  headers: Record<string, string>;
} {
  return { status, body: `sandbox: scripted ${status}\n`, headers: { 'content-type': 'text/plain' } };
}

export const poisoned = (status: number) =>
  errorReply(status, 'SYNTAX', 'Something in this body is not acceptable');

/** The generator mulberry32: equal seeds give equal numbers. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
