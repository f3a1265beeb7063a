// A plan: what the flow is, and what happens when. It is plain data, so that it can be shortened and played again.

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
  /** The event happened so long before. */
  readonly agoMs: number;
  /** False: of a node that sends late adds as they came. */
  readonly ages?: boolean;
}

export type QueueKind = 'memory' | 'disk' | 'shared';

export interface Limits {
  readonly postsPerSecond: number;
  readonly usersPerSecond: number;
  readonly maxConcurrent: number;
  /** Of one request; as documented when absent. */
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
  /** Accounts with different texts have connections of their own. */
  readonly connection: string;
}

export interface NodePlan {
  readonly id: string;
  readonly account: string;
  readonly completeOn: 'accepted' | 'queued';
  /** It shows what it would send. */
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
  /** Of a message that is taken, until others have their turn; a slice of the usual size when absent. */
  readonly blocksPerSlice?: number;
  /** For one turn of an event loop, at most; none when absent. */
  readonly turnMs?: number;
  /** One way to the service, at least. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** For one call of the disk, at most. */
  readonly diskMs: number;
  /** One way to the database, at most. */
  readonly databaseMs: number;
  /** Wall clocks of the instances minus true time. */
  readonly skewMs: readonly number[];
  /** Whether queues on disk are SQLite files; else a model of one. */
  readonly sqlite: boolean;
  /** User ids in these files are encrypted. */
  readonly encrypted?: boolean;
}

/** Of a request that none of the other fates meets, nothing goes wrong. */
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
  /** At the call with this number from now on, before or after it takes effect. */
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
  /** A node asks that adds to these segments (ids) wait, in the place of what it asked for before. */
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
);

export interface Plan {
  readonly seed: number;
  readonly shape: string;
  readonly setup: Setup;
  /** In order of their times. */
  readonly actions: readonly Action[];
  /** From then on everything works again. */
  readonly healMs: number;
}
