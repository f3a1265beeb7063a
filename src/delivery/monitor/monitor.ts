// Monitor: latency, rejections by reason, last errors and the last hour of an engine, for operators.

import type { Clock } from '../../clock';
import { endOf } from '../pending-messages';
import { History, type Sample } from './history';
import { Latency } from './latency';
import { mentions, Rejections, type Invalid } from '../respond/rejections';
import { closedCode } from '../respond/reports';
import { Today } from './today';
import type { PendingEntry } from '../pending/pending-entry';
import { erasureNode, suppressedCode } from '../sync/suppressions';
import { Unaccounted } from '../respond/unaccounted';

const mostErrors = 20;

/** A warning or an error of the log. */
export interface LoggedError {
  /** Epoch ms of the last occurrence. */
  readonly atMs: number;
  readonly level: 'warn' | 'error';
  readonly text: string;
  /** Number of occurrences in a row. */
  readonly times: number;
}

/** Codes of entries discarded by an operator or a closing node: nothing was wrong with them. Suppressed users were erased. */
const discarded: ReadonlySet<string> = new Set(['purged', 'erased', closedCode, suppressedCode]);

export class Monitor {
  /** Since the start. */
  readonly latency = new Latency();
  readonly rejections = new Rejections();
  readonly history = new History();
  readonly unaccounted = new Unaccounted();
  /** Number of invalid entries, which were not queued. */
  invalid = 0;
  private readonly failedToday = new Today();
  /** Since the last sample. */
  private readonly sinceSample = new Latency();
  private sampled: { atMs: number; users: number } | null = null;
  private errors: LoggedError[] = [];

  constructor(private readonly clock: Clock) {}

  /** Records entries that have ended for good. */
  ended(entries: readonly PendingEntry[]): void {
    const nowMs = this.clock.wallMs();
    for (const entry of entries) {
      const { rejection } = entry;
      if (rejection !== null) {
        const { code, message } = rejection;
        const isDiscarded = discarded.has(code) || entry.source.node === erasureNode;
        if (!isDiscarded) this.failedToday.add(nowMs, 1);
        this.rejections.add(nowMs, entry.source.node, code, message, entry.checked, isDiscarded);
      } else if (endOf(entry) === 'accepted' && !entry.bulk) {
        const ms = Math.max(0, nowMs - entry.appendedWallMs);
        this.latency.add(ms);
        this.sinceSample.add(ms);
      }
    }
  }

  /** Records invalid entries that a node refused. */
  refused(node: string, rejected: readonly Invalid[]): void {
    const nowMs = this.clock.wallMs();
    this.invalid += rejected.length;
    this.failedToday.add(nowMs, rejected.length);
    this.rejections.addInvalid(nowMs, node, rejected);
  }

  /** Number of entries that the service rejected or a node refused, since midnight. */
  get rejectedToday(): number {
    return this.failedToday.at(this.clock.wallMs());
  }

  logged(level: 'info' | 'warn' | 'error', text: string): void {
    if (level === 'info') return;
    const last = this.errors.at(-1);
    const times = last?.text === text ? last.times + 1 : 1;
    if (times > 1) this.errors.pop();
    this.errors.push({ atMs: this.clock.wallMs(), level, text, times });
    if (this.errors.length > mostErrors) this.errors.shift();
  }

  /** Newest first. */
  lastErrors(): readonly LoggedError[] {
    return this.errors.toReversed();
  }

  forget(userKeys: readonly string[], userId: string): void {
    this.rejections.forget(userKeys, userId);
    const named = mentions(userId);
    this.errors = this.errors.filter(({ text }) => !named(text));
  }

  /** Adds a sample to the last hour. `usersAccepted` counts since the start. */
  sample(usersAccepted: number, waiting: number): Sample {
    const atMs = this.clock.monoMs();
    const before = this.sampled;
    this.sampled = { atMs, users: usersAccepted };
    const seconds = before === null ? 0 : (atMs - before.atMs) / 1000;
    const sample = {
      atMs: this.clock.wallMs(),
      usersPerSecond: seconds <= 0 ? 0 : (usersAccepted - before!.users) / seconds,
      waiting,
      medianMs: this.sinceSample.percentile(0.5),
      slowMs: this.sinceSample.percentile(0.95),
    };
    this.sinceSample.clear();
    this.history.add(sample);
    return sample;
  }
}
