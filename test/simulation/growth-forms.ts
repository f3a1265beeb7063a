// Growth forms: histories of one user, in every form whose cost might grow faster than its length.
import { poisoned, invalidUser } from './world/make-plan';
import type { Action, Block, Entry, QueueKind, Setup } from './world/plan';

/** Before the first entry. */
const beforeMs = 1_200;
/** All entries are submitted, and faults are still in effect. */
export const pendingAtMs = 4_900;
const thenMs = pendingAtMs + 50;

type Named = Omit<Block, 'value'>;

export interface Form {
  readonly name: string;
  readonly blocks: (at: number) => readonly Named[];
  readonly user?: (at: number) => string;
  /** The node of an entry; `n` of account `a` by default. */
  readonly node?: (at: number) => string;
  /**
   * All entries in one message, or their blocks in one entry; otherwise in many messages, one after the other.
   */
  readonly allIn?: 'one message' | 'one entry';
  /**
   * Ended entries leave more state: counts of the hour by segment, or rejections, which are kept up to a limit.
   */
  readonly leavesMore?: boolean;
  /** The growth only shows with this multiple of entries. */
  readonly times?: number;
  /** Chosen by the seed by default. */
  readonly queue?: QueueKind;
  readonly setup?: Partial<Setup>;
  /**
   * Actions in addition to the entries, instead of a service that is away for a while (or is not, as the seed
   * decides).
   */
  readonly actions?: readonly Action[];
}

export const hotUser = '70001';
const add = (id: number): Named => ({ seg_id: id, expiration: 60 });
const remove = (id: number): Named => ({ seg_id: id, expiration: -1 });
const code = (name: string): Named => ({ seg_code: name, member_id: 1, expiration: 60 });
const inTurn = (at: number, one: Named, other: Named): readonly Named[] => [at % 2 === 0 ? one : other];
const hex = (at: number): string =>
  at.toString(2).padStart(32, '0').replaceAll('0', 'a').replaceAll('1', 'A');

const away: Action = { kind: 'service', atMs: 1_000, member: 1, how: 'away', forMs: 4_000 };
const others = (count: number, node = 'n'): Action => ({
  kind: 'message',
  atMs: beforeMs,
  instance: 0,
  node,
  entries: Array.from({ length: count }, (_, at): Entry => ({
    user: String(80_000 + at),
    domain: null,
    agoMs: 0,
    blocks: [{ seg_id: 10001, value: 500_000 + at, expiration: 60 }],
  })),
});
const network = (rates: Extract<Action, { kind: 'weather' }>['rates']): Action => ({
  kind: 'weather',
  atMs: 1_000,
  rates,
  forMs: 4_000,
});
const asks = (what: 'purge', atMs = thenMs): Action => ({
  kind: 'operator',
  atMs,
  instance: 0,
  member: 1,
  asks: what,
});
const twoAccounts: Partial<Setup> = {
  accounts: ['a', 'b'].map((id) => ({ id, member: 1, username: `login ${id}`, connection: 'c' })),
  nodes: [
    { id: 'n', account: 'a', completeOn: 'accepted' },
    { id: 'm', account: 'b', completeOn: 'accepted' },
  ],
};
const mostlyOnDisk: Partial<Setup> = { memoryMark: 40, pageRows: 40 };

/** Chosen by seeds in this order, so add new ones at the end. */
export const forms: readonly Form[] = [
  { name: 'one segment', blocks: () => [add(10001)] },
  { name: 'several segments', blocks: (at) => [add(10001 + (at % 4))] },
  { name: 'by id and by code in turn', blocks: (at) => inTurn(at, add(10001), code('code_10001')) },
  { name: 'adds and removals in turn', blocks: (at) => inTurn(at, add(10001), remove(10001)) },
  { name: 'many users', blocks: () => [add(10001)], user: (at) => String(1_000_000 + at) },
  { name: 'many segments in turn', blocks: (at) => [add(1 + (at % 100))] },
  {
    name: 'two blocks, one of which is replaced by the next entry',
    leavesMore: true,
    blocks: (at) => [add(at + 1), add(at + 2)],
  },
  {
    name: 'two blocks, one of which is the same in all',
    blocks: (at) => [add(1), add(at + 2)],
    leavesMore: true,
  },
  { name: 'two blocks that are replaced one by one', blocks: (at) => [add(1 + (at % 2)), add(3 + (at % 3))] },
  { name: 'as many segments as entries', blocks: (at) => [add(at + 1)], leavesMore: true },
  {
    name: 'as many segments as entries, adds and removals in turn',
    leavesMore: true,
    blocks: (at) => inTurn(at, add(at + 1), remove(at + 1)),
  },
  {
    name: 'as many segments as entries, by id and by code in turn',
    leavesMore: true,
    blocks: (at) => inTurn(at, add(at + 1), code(`c${at}`)),
  },
  {
    name: 'as many segments as entries, most of it on disk',
    leavesMore: true,
    blocks: (at) => [add(at + 1)],
    queue: 'disk',
    setup: mostlyOnDisk,
  },
  {
    name: 'by id and by code in turn, most of it on disk',
    blocks: (at) => inTurn(at, add(10001), code('code_10001')),
    queue: 'disk',
    setup: mostlyOnDisk,
  },
  { name: 'as many spellings as entries', blocks: () => [add(1)], user: hex, leavesMore: true },
  {
    name: 'two accounts in turn',
    blocks: (at) => [add(1 + (at % 10))],
    node: (at) => (at % 2 === 0 ? 'n' : 'm'),
    setup: twoAccounts,
  },
  {
    name: 'two accounts in turn, as many segments as entries',
    leavesMore: true,
    blocks: (at) => [add(at + 1)],
    node: (at) => (at % 2 === 0 ? 'n' : 'm'),
    setup: twoAccounts,
  },
  {
    name: 'requests on their way all the time',
    blocks: (at) => [add(1 + (at % 3))],
    actions: [network({ reset: 1 })],
  },
  {
    name: 'requests without a reply',
    blocks: (at) => [add(1 + (at % 3))],
    actions: [network({ dropped: 1 })],
  },
  {
    name: 'requests refused and answered in turn',
    blocks: (at) => [add(1 + (at % 3))],
    actions: [network({ serverError: 0.5 })],
  },
  {
    name: 'requests accepted and lost in turn',
    blocks: (at) => [add(1 + (at % 3))],
    actions: [network({ reset: 0.5 })],
  },
  {
    name: 'messages that are complete once queued',
    blocks: (at) => [add(1 + (at % 2))],
    setup: { nodes: [{ id: 'n', account: 'a', completeOn: 'queued' }] },
  },
  { name: 'one message', blocks: (at) => [add(1 + (at % 5))], allIn: 'one message' },
  {
    name: 'one entry',
    blocks: (at) => [add(at + 1)],
    allIn: 'one entry',
    leavesMore: true,
  },
  {
    name: 'all on disk before a restart, adds and removals in turn',
    blocks: (at) => inTurn(at, add(1 + (at % 7)), remove(1 + (at % 5))),
    queue: 'disk',
    setup: { memoryMark: 100, pageRows: 100 },
    actions: [away, { kind: 'crash', atMs: thenMs, instance: 0, downMs: 100 }],
  },
  { name: 'purged', leavesMore: true, blocks: (at) => [add(1 + (at % 100))], actions: [away, asks('purge')] },
  {
    name: 'erased',
    leavesMore: true,
    blocks: (at) => [add(1 + (at % 100))],
    actions: [away, { kind: 'erase', atMs: thenMs, instance: 0, member: 1, user: hotUser, domain: null }],
  },
  {
    name: 'after a purge',
    blocks: (at) => [add(1 + (at % 100))],
    actions: [away, others(1), asks('purge', beforeMs + 100)],
  },
  {
    name: 'for segments that are too new',
    blocks: (at) => [add(10001 + (at % 2))],
    actions: [
      { kind: 'hold', atMs: beforeMs, instance: 0, node: 'n', segments: [10001, 10002], forMs: 30_000 },
    ],
  },
  {
    name: 'users who are refused one by one',
    // While everything is refused, about one user a second is rejected: with more, a play would end before that.
    times: 0.4,
    blocks: () => [code(poisoned)],
    user: (at) => String(1_000_000 + at),
    leavesMore: true,
    actions: [others(10), { ...away, atMs: 1_400 }],
  },
  {
    name: 'refused for one of its blocks',
    leavesMore: true,
    blocks: (at) => [at % 40 === 13 ? code(poisoned) : code(`c${at % 40}`)],
    actions: [others(10)],
  },
  {
    name: 'rejected by a warning',
    blocks: (at) => [add(1 + (at % 300))],
    user: () => invalidUser,
    leavesMore: true,
    actions: [away, others(1)],
  },
  {
    name: 'rejected by a warning, in one entry',
    blocks: (at) => [add(at + 1)],
    user: () => invalidUser,
    allIn: 'one entry',
    leavesMore: true,
    actions: [away, others(1)],
  },
  {
    name: 'behind one that no account sends',
    blocks: (at) => [add(1 + (at % 3))],
    setup: twoAccounts,
    actions: [
      { kind: 'loginRefused', atMs: 1_000, username: 'login b', forMs: 4_000 },
      {
        kind: 'message',
        atMs: beforeMs,
        instance: 0,
        node: 'm',
        entries: [{ user: hotUser, domain: null, agoMs: 0, blocks: [{ ...add(9), value: 500_000 }] }],
      },
    ],
  },
  {
    name: 'removals far ahead of the adds',
    blocks: (at) => inTurn(at, add(1 + (at % 3)), remove(1 + (at % 3))),
    times: 4,
    queue: 'disk',
    setup: {
      ...mostlyOnDisk,
      members: [
        { id: 1, queue: 'disk', limits: { postsPerSecond: 10, usersPerSecond: 20, maxConcurrent: 2 } },
      ],
    },
    actions: [others(500)],
  },
  {
    name: 'while nothing can be written',
    blocks: (at) => [add(1 + (at % 3))],
    queue: 'disk',
    actions: [away, { kind: 'disk', atMs: 3_000, instance: 0, how: 'broken', forMs: 3_000 }],
  },
  {
    name: 'in memory, until its node closes',
    blocks: (at) => [add(1 + (at % 100))],
    queue: 'memory',
    actions: [away, { kind: 'deployNode', atMs: thenMs, instance: 0, node: 'n' }],
  },
];

/** What the service does when the form does not define it: away for a while, or nothing. */
export function actionsOf({ actions }: Form, isOutage: boolean): readonly Action[] {
  return actions ?? (isOutage ? [away] : []);
}
