// Unaccounted users and segments: the service said OK without counting them. For messages, for operators, and
// once a minute for the log.
import type { Tally } from '../../service/reply/verdicts';

const logEveryMs = 60_000;

export class Unaccounted {
  private total = { users: 0, segments: 0 };
  /** Not logged yet. */
  private unlogged = { users: 0, segments: 0 };
  private loggedMs = -Infinity;

  /** Since the start. */
  get counts(): Tally {
    return this.total;
  }

  /**
   * Records an accepted request. Returns a sentence for its messages, or null when everything was counted.
   *
   * @param nowMs monotonic
   */
  note(
    missing: Tally,
    sent: Tally,
    nowMs: number,
    log: (level: 'warn', text: string) => void,
  ): string | null {
    if (missing.users === 0 && missing.segments === 0) return null;
    this.total = sumOf(this.total, missing);
    this.unlogged = sumOf(this.unlogged, missing);
    if (nowMs - this.loggedMs >= logEveryMs) {
      log('warn', logLine(this.unlogged));
      this.loggedMs = nowMs;
      this.unlogged = { users: 0, segments: 0 };
    }
    return `The service replied OK, but did not count ${missing.users} of ${sent.users} users and ${missing.segments} of ${sent.segments} segments in this request, and gave no warning.`;
  }
}

function sumOf(a: Tally, b: Tally): { users: number; segments: number } {
  return { users: a.users + b.users, segments: a.segments + b.segments };
}

function logLine({ users, segments }: Tally): string {
  return `Compare with the usage statistics: the service replied OK, but did not count ${users} users and ${segments} segments that were sent. It gave no warning. They may not be in their segments.`;
}
