// Status line of the audience sync: the run that is open, else size and next refresh of the segment.

import type { Node, NodeAPI } from 'node-red';
import { systemClock } from '../../src/clock';
import type { MemberQueue } from '../../src/delivery/index';
import type { SegmentSync } from '../../src/sync/index';
import type { AccountNode } from '../account/account-api';
import { CalmStatus, looks, type Look, type Shown } from '../shared/calm-status';
import { conditionOf, statusText } from '../shared/queue-state';
import { lineOf } from './sync-text';
import { wordsOf } from './words';

const everyMs = 1000;

/** States of the queue that say nothing of the sync. */
const calm: ReadonlySet<string> = new Set(['idle', 'sending']);

interface Followed {
  readonly engine: MemberQueue;
  readonly account: Pick<AccountNode, 'id' | 'isSandbox'>;
  /** Null while another instance carries out the runs, or none yet. */
  readonly sync: SegmentSync | null;
}

export class StatusLine {
  private readonly status: CalmStatus;
  private followed: Followed | null = null;
  private interval: NodeJS.Timeout | null = null;

  constructor(
    private readonly RED: NodeAPI,
    node: Node,
  ) {
    this.status = new CalmStatus(node);
  }

  /** A key below `status`. */
  show(look: Look, key: string): void {
    this.unfollow();
    this.status.show(() => ({ ...looks[look], text: this.RED._(`status.${key}`) }));
  }

  follow(followed: Followed): void {
    this.unfollow();
    this.followed = followed;
    this.refresh();
    this.interval = setInterval(() => this.refresh(), everyMs).unref();
  }

  refresh(): void {
    const { followed } = this;
    if (followed !== null) this.status.show(() => this.shown(followed));
  }

  stop(): void {
    this.unfollow();
    this.status.stop();
  }

  private unfollow(): void {
    if (this.interval !== null) clearInterval(this.interval);
    this.interval = this.followed = null;
  }

  private shown({ engine, account, sync }: Followed): Shown {
    const condition = conditionOf(
      engine.stats().state,
      engine.logins.state(account.id),
      systemClock.monoMs(),
    );
    const view = sync?.isStarted === true ? sync.view() : null;
    const starting = { look: 'waiting', text: this.RED._('status.connecting') } as const;
    const own = view === null ? starting : lineOf(view, this.RED);
    const hasTrouble = (view?.trouble ?? null) !== null;
    const isCalm = calm.has(condition.key) && !hasTrouble;
    const look = isCalm ? own.look : hasTrouble ? 'stopped' : condition.look;
    const queue = wordsOf(this.RED, 'xandr-instant-audience-out');
    const status = isCalm
      ? own.text
      : hasTrouble
        ? this.RED._('status.trouble')
        : statusText(condition, queue);
    const text = account.isSandbox ? this.RED._('status.sandbox', { status }) : status;
    return { ...looks[look], text };
  }
}
