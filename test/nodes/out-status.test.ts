// The out node's status line: what it says of each state, in which look, and how often.
import assert from 'node:assert/strict';
import type { Node, NodeAPI } from 'node-red';
import type { Engine, EngineState } from '../../src/delivery/engine';
import type { LoginState } from '../../src/delivery/login';
import { StatusLine } from '../../nodes/instant-audience-out/status-line';
import { lookUp, translate, wordsOf } from '../editor/bundle';
import { sleep } from './out-flow';

interface Case {
  /** Times in it count from now. */
  readonly state?: EngineState;
  readonly login?: LoginState;
  readonly waiting?: number;
  readonly rate?: number;
  readonly oldestMs?: number;
  readonly durable?: boolean;
}

const words = wordsOf('instant-audience-out');

/** What a status line shows, one text for each update. */
class Watched {
  readonly shown: string[] = [];
  now: Case = {};
  readonly line: StatusLine;

  remark: string | null = null;

  constructor(dryRun = false) {
    const RED = { _: translate(words) } as unknown as NodeAPI;
    const status = ({ fill, shape, text }: { fill: string; shape: string; text: string }): void => {
      this.shown.push(`${fill} ${shape} ${text}`);
    };
    this.line = new StatusLine(RED, { status } as unknown as Node, dryRun, () => this.remark);
  }

  follow(first: Case, isSandbox = false): void {
    this.now = first;
    const stats = (): unknown => {
      const { state = { kind: 'working' }, waiting = 0, rate = 0, oldestMs = 0 } = this.now;
      const nowMs = performance.now();
      const atNow = state.kind === 'rateLimited' ? { ...state, untilMs: nowMs + state.untilMs } : state;
      return { state: atNow, counters: { waiting }, usersPerSecond: rate, oldestMs };
    };
    const logins = { state: (account: string) => (account === 'mine' ? this.now.login : null) };
    const engine = { stats, logins, durable: first.durable ?? true } as unknown as Engine;
    this.line.follow(engine, { id: 'mine', warnAfterMs: 120_000, isSandbox });
  }
}

function shownFor(what: Case): string {
  const watched = new Watched();
  watched.follow(what);
  watched.line.stop();
  return watched.shown.join();
}

const cases: readonly [Case, string][] = [
  [{}, 'green dot ready'],
  [{ durable: false }, 'green dot ready · in memory only'],
  [{ waiting: 7 }, 'blue dot 7 queued · 0/s · …'],
  [{ waiting: 1234, rate: 30 }, 'blue dot 1.2k queued · 30/s · 0:42'],
  [{ waiting: 999_949, rate: 998 }, 'blue dot 1.0M queued · 998/s · 16:42'],
  [{ waiting: 5_000_000, rate: 1000 }, 'blue dot 5.0M queued · 1000/s · 1:23:20'],
  [{ waiting: 9_960, rate: 1 }, 'blue dot 10k queued · 1/s · 2:46:00'],
  [{ waiting: 3, durable: false }, 'blue dot 3 in memory · 0/s · …'],
  [{ waiting: 9, oldestMs: 190_000 }, 'yellow ring oldest 3 min · 9 queued'],
  [{ state: { kind: 'starting' } }, 'yellow ring connecting'],
  [{ state: { kind: 'parked' }, waiting: 2 }, 'yellow ring deploying · 2 queued'],
  [{ state: { kind: 'paused' }, waiting: 2 }, 'yellow ring paused · 2 queued'],
  [{ state: { kind: 'paused' } }, 'yellow ring paused'],
  [{ state: { kind: 'standby', sender: 'node-2' } }, 'green dot standby, node-2 is sending'],
  [
    { state: { kind: 'standby', sender: 'node-2' }, waiting: 1234 },
    'green dot standby, node-2 is sending · 1.2k queued',
  ],
  [{ state: { kind: 'standby', sender: null } }, 'yellow ring standby, nobody is sending yet'],
  [
    { state: { kind: 'standby', sender: null }, waiting: 3 },
    'yellow ring standby, nobody is sending yet · 3 queued',
  ],
  [
    { state: { kind: 'standby', sender: 'node-2' }, waiting: 9, oldestMs: 190_000 },
    'yellow ring oldest 3 min · 9 queued',
  ],
  [{ state: { kind: 'apart', message: '', kept: 0 }, waiting: 5 }, 'yellow ring database away'],
  [{ state: { kind: 'apart', message: '', kept: 1234 } }, 'yellow ring database away · 1.2k kept here'],
  [{ state: { kind: 'rateLimited', untilMs: 23_500 } }, 'yellow ring rate limited 24 s'],
  [
    { state: { kind: 'trouble', code: 'timeout', message: '' }, waiting: 2 },
    'yellow ring service not reachable · 2 queued',
  ],
  [
    { state: { kind: 'trouble', code: 'http_500', message: '' }, waiting: 2 },
    'yellow ring service fails · 2 queued',
  ],
  [
    { state: { kind: 'refusing', message: '' }, waiting: 2 },
    'red ring service refuses everything · 2 queued',
  ],
  [{ state: { kind: 'outbox', code: 'full', message: '' } }, 'red ring disk full'],
  [{ login: { kind: 'refused', code: 'NOAUTH_EXPIRED', message: '' } }, 'red ring password expired'],
  [{ login: { kind: 'refused', code: 'NOAUTH_DISABLED', message: '' } }, 'red ring user disabled'],
  [{ login: { kind: 'refused', code: 'UNAUTH', message: '' } }, 'red ring not allowed'],
  [{ login: { kind: 'wait', untilMs: 0, code: 'tls', message: '' } }, 'red ring certificate'],
  [
    { login: { kind: 'wait', untilMs: 0, code: 'http_404', message: '' }, waiting: 4 },
    'red ring wrong URL · 4 queued',
  ],
  [
    { login: { kind: 'wait', untilMs: 0, code: 'authentication_limit', message: '' } },
    'yellow ring login limit reached, waiting',
  ],
  [
    // Another account of the same member: this one goes on.
    { state: { kind: 'login', account: 'other', final: true, code: 'NOAUTH', message: '' }, waiting: 1 },
    'blue dot 1 queued · 0/s · …',
  ],
];

describe('the status of the out node', () => {
  for (const [what, expected] of cases) {
    it(`says "${expected}"`, () => {
      // The first two words are the look; rate limits count down by the real clock.
      assert.equal(
        shownFor(what)
          .replace('3601 s', '3600 s')
          .replace(/3599 s|3598 s/, '3600 s'),
        expected,
      );
    });
  }

  it('changes at most once a second, then to what holds, and says nothing twice', async () => {
    const watched = new Watched();
    watched.line.connecting();
    watched.follow({ waiting: 1 });
    for (let waiting = 2; waiting < 40; waiting += 1) {
      watched.now = { waiting };
      watched.line.refresh();
    }
    assert.deepEqual(watched.shown, ['yellow ring connecting']);
    await sleep(1_050);
    watched.line.refresh();
    assert.deepEqual(watched.shown, ['yellow ring connecting', 'blue dot 39 queued · 0/s · …']);
    watched.line.stop();
  });

  it('tells for a while that the queue was full, or that messages were done at queued', () => {
    for (const [key, expected] of [
      ['full', 'red ring queue full · 5 queued'],
      ['queuedOnly', 'blue dot done at queued · 5 queued'],
    ] as const) {
      const watched = new Watched();
      watched.line.tell(key);
      watched.follow({ waiting: 5 });
      watched.line.stop();
      assert.deepEqual(watched.shown, [expected]);
    }
  });

  it('tells for some seconds how many entries were delivered, and is idle again', async () => {
    const watched = new Watched();
    watched.line.deliveredSome(8);
    watched.line.deliveredSome(4);
    watched.follow({});
    assert.deepEqual(watched.shown, ['green dot 12 delivered']);
    // What waits says more.
    watched.now = { waiting: 3 };
    await sleep(1_100);
    assert.equal(watched.shown.at(-1), 'blue dot 3 queued · 0/s · …');
    watched.now = {};
    await sleep(5_500);
    assert.deepEqual(watched.shown.slice(2), ['green dot 12 delivered', 'green dot ready']);
    watched.line.deliveredSome(1);
    await sleep(1_100);
    assert.equal(watched.shown.at(-1), 'green dot 1 delivered', 'counted anew');
    watched.line.stop();
  }).timeout(12_000);

  it('tells that what is kept while the database is away has come to its cap', () => {
    const watched = new Watched();
    watched.line.tell('full');
    watched.follow({ state: { kind: 'apart', message: '', kept: 5 }, waiting: 5 });
    watched.line.stop();
    assert.deepEqual(watched.shown, ['red ring queue full · 5 queued']);
  });

  it('has room for a remark while nothing is wrong with the delivery, and turns yellow for it', () => {
    for (const [what, expected] of [
      [{}, 'yellow ring segment 12 is inactive'],
      [{ waiting: 7 }, 'yellow ring 7 queued · 0/s · … · segment 12 is inactive'],
      [{ state: { kind: 'parked' }, waiting: 2 }, 'yellow ring deploying · 2 queued'],
      [
        { state: { kind: 'standby', sender: 'b' } },
        'yellow ring standby, b is sending · segment 12 is inactive',
      ],
    ] as [Case, string][]) {
      const watched = new Watched();
      watched.remark = 'segment 12 is inactive';
      watched.follow(what);
      watched.line.stop();
      assert.deepEqual(watched.shown, [expected]);
    }
  });

  it('says of a sandbox that it is one, whatever else it says', () => {
    for (const [what, remark, expected] of [
      [{}, null, 'green dot ready · sandbox'],
      [{}, 'segment 12 is inactive', 'yellow ring segment 12 is inactive · sandbox'],
      [{ waiting: 7, rate: 7 }, null, 'blue dot 7 queued · 7/s · 0:01 · sandbox'],
      [{ state: { kind: 'outbox', code: 'full', message: '' } }, null, 'red ring disk full · sandbox'],
    ] as [Case, string | null, string][]) {
      const watched = new Watched();
      watched.remark = remark;
      watched.follow(what, true);
      watched.line.stop();
      assert.deepEqual(watched.shown, [expected]);
    }
  });

  it('of a dry run is that it is one', () => {
    const watched = new Watched(true);
    watched.follow({ waiting: 5 });
    watched.line.stop();
    assert.deepEqual(watched.shown, [`green dot ${lookUp(words, 'status.dryRun')}`]);
  });
});
