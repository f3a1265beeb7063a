// A plan: the flow and its events. Plain data, so that it can be shortened and replayed.

export interface Block {
  readonly seg_id?: number;
  readonly seg_code?: string;
  readonly member_id?: number;
  readonly value: number;
  readonly expiration?: number;
}

export interface Entry {
  readonly user: string;
  readonly domain: string | null;
  readonly blocks: readonly Block[];
  /** Age of the event in ms. */
  readonly agoMs: number;
  /** False for a node that sends late adds unchanged. */
  readonly ages?: boolean;
}

/** A row of an audience. */
export interface AudienceRow {
  readonly user: string;
  readonly domain: string | null;
  readonly value: number;
}

export type QueueKind = 'memory' | 'disk' | 'shared';

export interface Limits {
  readonly postsPerSecond: number;
  readonly usersPerSecond: number;
  readonly maxConcurrent: number;
  /** Limits of one request; as documented when absent. */
  readonly usersPerPost?: number;
  readonly blocksPerUser?: number;
  readonly maxBodyBytes?: number;
}

export interface MemberPlan {
  readonly id: number;
  readonly queue: QueueKind;
  readonly limits: Limits;
}

export interface AccountPlan {
  readonly id: string;
  readonly member: number;
  readonly username: string;
  /** Accounts with different texts have separate connections. */
  readonly connection: string;
}

export interface NodePlan {
  readonly id: string;
  readonly account: string;
  readonly completeOn: 'accepted' | 'queued';
  /** Whether it is set to dry run. */
  readonly dryRun?: boolean;
}

export interface Setup {
  readonly instances: number;
  readonly members: readonly MemberPlan[];
  readonly accounts: readonly AccountPlan[];
  readonly nodes: readonly NodePlan[];
  readonly memoryMark: number;
  readonly pageRows: number;
  readonly queueMaxEntries: number;
  readonly maxOpenMessages: number;
  /** Slice size of a message; as usual when absent. */
  readonly blocksPerSlice?: number;
  /** Maximum duration of one turn of the event loop; none when absent. */
  readonly turnMs?: number;
  /** Minimum latency of one way to the service. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** In every other `everyMs` the path is faster: `share` of its latency. It keeps its latency when absent. */
  readonly fasterPath?: { readonly share: number; readonly everyMs: number };
  /** Maximum duration of a disk call. */
  readonly diskMs: number;
  /** Maximum latency of one way to the database. */
  readonly databaseMs: number;
  /** Wall clocks of the instances minus true time. */
  readonly skewMs: readonly number[];
  /** Whether queues on disk are SQLite files; else a model of one. */
  readonly sqlite: boolean;
  /** Whether user ids in these files are encrypted. */
  readonly encrypted?: boolean;
  /** The id of a segment that is kept equal to an audience; none when absent. */
  readonly syncedSegment?: number;
}

/** The network between a client and the service. */
export type Path = Pick<Setup, 'latencyMs' | 'jitterMs' | 'fasterPath'>;

/** A request without one of these fates succeeds. */
export const fates = [
  'noConnection',
  'dropped',
  'replyLost',
  'late',
  'twice',
  'reset',
  'rateLimited',
  'serverError',
  'badGateway',
  'forbidden',
  'deadToken',
  'garbage',
] as const;
export type Fate = (typeof fates)[number];

export type Port = 'disk' | 'database' | 'network' | 'timer';
export type AccountChange =
  | { readonly connection: string }
  | { readonly username: string }
  | { readonly queue: QueueKind }
  | { readonly database: string }
  | { readonly enabled: boolean };

export type Action = { readonly atMs: number } & (
  | {
      readonly kind: 'message';
      readonly instance: number;
      readonly node: string;
      readonly entries: readonly Entry[];
    }
  | { readonly kind: 'weather'; readonly rates: Partial<Record<Fate, number>>; readonly forMs: number }
  | {
      readonly kind: 'service';
      readonly member: number;
      readonly how: 'away' | 'silent' | 'refusesBodies';
      readonly forMs: number;
    }
  | { readonly kind: 'loginRefused'; readonly username: string; readonly forMs: number }
  | { readonly kind: 'crash'; readonly instance: number; readonly downMs: number }
  /** Dies at the call with this number from now on, before or after it takes effect. */
  | {
      readonly kind: 'crashAt';
      readonly instance: number;
      readonly port: Port;
      readonly call: number;
      readonly when: 'before' | 'after';
      readonly downMs: number;
    }
  | { readonly kind: 'freeze'; readonly instance: number; readonly forMs: number }
  | { readonly kind: 'suspend'; readonly instance: number; readonly forMs: number }
  | { readonly kind: 'wallClock'; readonly instance: number; readonly byMs: number }
  | {
      readonly kind: 'disk';
      readonly instance: number;
      readonly how: 'full' | 'broken' | 'slow';
      readonly forMs: number;
    }
  | {
      readonly kind: 'database';
      readonly how: 'refuses' | 'silent' | 'repliesLost' | 'readOnly' | 'standbyLost';
      /** Null: for all. */
      readonly instance: number | null;
      readonly forMs: number;
    }
  | { readonly kind: 'deploy'; readonly instance: number }
  | { readonly kind: 'deployNode'; readonly instance: number; readonly node: string }
  | { readonly kind: 'removeNode'; readonly instance: number; readonly node: string; readonly forMs: number }
  | {
      readonly kind: 'accounts';
      readonly instance: number;
      readonly accounts: readonly string[];
      readonly change: AccountChange;
    }
  | {
      readonly kind: 'operator';
      readonly instance: number;
      readonly member: number;
      readonly asks: 'pause' | 'resume' | 'flush' | 'purge' | 'retry';
    }
  /** A node asks for warm-ups of these segments (ids), and replaces its earlier request. */
  | {
      readonly kind: 'hold';
      readonly instance: number;
      readonly node: string;
      readonly segments: readonly number[];
      readonly forMs: number;
    }
  | {
      readonly kind: 'erase';
      readonly instance: number;
      readonly member: number;
      readonly user: string;
      readonly domain: string | null;
    }
  /** The source hands in the whole audience of the synced segment. */
  | {
      readonly kind: 'audience';
      readonly instance: number;
      readonly rows: readonly AudienceRow[];
      readonly force: boolean;
    }
  /** Every member is renewed. */
  | { readonly kind: 'refresh'; readonly instance: number }
  /** The suppression of a user is lifted. */
  | {
      readonly kind: 'lift';
      readonly instance: number;
      readonly user: string;
      readonly domain: string | null;
    }
);

export interface Plan {
  readonly seed: number;
  readonly shape: string;
  readonly setup: Setup;
  /** In order of their times. */
  readonly actions: readonly Action[];
  /** Time at which every fault ends. */
  readonly healMs: number;
}
