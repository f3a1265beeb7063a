// Looks up the segments that the builders before an out node name: on deploy, and every hour.

import type { NodeAPI } from 'node-red';
import { fixedSegments } from '../../src/audience/fixed-segments';
import { shortenThrown } from '../../src/audience/issues';
import type { MemberQueue } from '../../src/delivery/member-queue';
import { checkSegments, type SegmentWarning } from '../../src/reconcile/segment-check';
import { readWithToken } from '../../src/service/read-with-token';
import type { AccountNode } from '../account/account-api';
import { migrate } from '../shared/migrations';
import { buildersOf, type FlowConfig } from './upstream';

/** After the deploy, so that whatever it started comes first. */
const firstAfterMs = 500;
const everyMs = 3_600_000;
/** After a look that failed. */
const againAfterMs = 60_000;

export interface SegmentWatchHost {
  readonly RED: NodeAPI;
  readonly node: string;
  /** The node's id in the flow file, which a node in a subflow does not have itself. */
  readonly out: string;
  readonly account: AccountNode;
  readonly engine: MemberQueue;
  /** Whether adds to young segments are to wait. */
  readonly holds: boolean;
  /** What was found has changed. */
  readonly changed: (warnings: readonly SegmentWarning[]) => void;
}

/** Watches of this process by the out node's id, for whoever shows what they found. */
export const segmentWatches = new Map<string, SegmentWatch>();

export class SegmentWatch {
  /** Why the last look failed; null when it did not. */
  failure: string | null = null;
  private found: readonly SegmentWarning[] = [];
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(private readonly host: SegmentWatchHost) {}

  /** The account whose entries these segments are for, by node id. */
  get account(): string {
    return this.host.account.id;
  }

  /** Whether adds to young segments wait. */
  get holds(): boolean {
    return this.host.holds;
  }

  start(): void {
    segmentWatches.set(this.host.node, this);
    this.lookIn(firstAfterMs);
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    if (segmentWatches.get(this.host.node) === this) segmentWatches.delete(this.host.node);
  }

  /** What holds now: a young segment grows old by itself. */
  warnings(nowMs: number): readonly SegmentWarning[] {
    return this.found.filter((warning) => warning.kind !== 'young' || warning.untilMs > nowMs);
  }

  private lookIn(ms: number): void {
    this.timer = setTimeout(() => void this.look(), ms).unref();
  }

  private async look(): Promise<void> {
    try {
      this.failure = await this.check();
    } catch (error) {
      this.failure = shortenThrown(error);
    }
    if (!this.stopped) this.lookIn(this.failure === null ? everyMs : againAfterMs);
  }

  /** Null, or why it could not be done. */
  private async check(): Promise<string | null> {
    const { out, account, engine, changed } = this.host;
    const wanted = buildersOf(out, account.id, this.flows()).flatMap((builder) =>
      fixedSegments(migrate(builder.type, builder)),
    );
    const connection = account.connection();
    if (wanted.length === 0 || connection === null) {
      this.take([], changed);
      return null;
    }
    const { client, keeper } = connection;
    const outcome = await checkSegments(wanted, {
      read: (query) => readWithToken(keeper, (token) => client.segments(query, token)),
      outbox: engine.meta,
      member: Number(account.member),
      nowMs: Date.now(),
    });
    if (outcome.kind !== 'read') return outcome.message;
    this.take(outcome.value, changed);
    return null;
  }

  private take(found: readonly SegmentWarning[], changed: SegmentWatchHost['changed']): void {
    if (this.stopped) return;
    if (this.host.holds) this.host.engine.holdSegments(this.host.node, heldUntil(found));
    const before = JSON.stringify(this.found);
    this.found = found;
    if (JSON.stringify(found) !== before) changed(found);
  }

  private flows(): FlowConfig[] {
    const all: FlowConfig[] = [];
    this.host.RED.nodes.eachNode((config) => all.push(config as unknown as FlowConfig));
    return all;
  }
}

/** By the key of a block: until when it is to wait (epoch ms). */
function heldUntil(found: readonly SegmentWarning[]): Map<string, number> {
  const untils = new Map<string, number>();
  for (const warning of found) {
    if (warning.kind !== 'young') continue;
    for (const key of warning.keys) untils.set(key, warning.untilMs);
  }
  return untils;
}
