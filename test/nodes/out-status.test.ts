// The status line of the out node: its text and look for each state, and its rate of updates.
import assert from 'node:assert/strict';
import type { Node, NodeAPI } from 'node-red';
import type { Engine, EngineState } from '../../src/delivery/engine';
import type { LoginState } from '../../src/delivery/schedule/login';
import { StatusLine } from '../../nodes/instant-audience-out/status-line';
import { short } from '../../nodes/shared/figures';
import { shortTime, statusText } from '../../nodes/shared/queue-state';
import { lookUp, read, translate, wordsOf } from '../editor/bundle';
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
  [{ durable: false }, 'green dot ready, in memory'],
  [{ waiting: 7 }, 'blue dot 7 pending, …'],
  [{ waiting: 1234, rate: 30 }, 'blue dot 1.2k pending, 42 s'],
  [{ waiting: 999_949, rate: 998 }, 'blue dot 1.0M pending, 16 min'],
  [{ waiting: 5_000_000, rate: 1000 }, 'blue dot 5.0M pending, 1 h'],
  [{ waiting: 9_960, rate: 1 }, 'blue dot 10k pending, 2 h'],
  [{ waiting: 3, durable: false }, 'blue dot 3 pending, …'],
  [{ waiting: 9, oldestMs: 190_000 }, 'yellow ring oldest 3 min'],
  [{ state: { kind: 'starting' } }, 'yellow ring connecting'],
  [{ state: { kind: 'parked' }, waiting: 2 }, 'yellow ring deploying'],
  [{ state: { kind: 'paused' }, waiting: 2 }, 'yellow ring paused'],
  [{ state: { kind: 'paused' } }, 'yellow ring paused'],
  [{ state: { kind: 'standby', sender: 'node-2' } }, 'green dot standby'],
  [{ state: { kind: 'standby', sender: 'node-2' }, waiting: 1234 }, 'green dot standby'],
  [{ state: { kind: 'standby', sender: null } }, 'yellow ring standby, none active'],
  [
    { state: { kind: 'standby', sender: 'node-2' }, waiting: 9, oldestMs: 190_000 },
    'yellow ring oldest 3 min',
  ],
  [{ state: { kind: 'databaseAway', message: '', kept: 0 }, waiting: 5 }, 'yellow ring database unreachable'],
  [{ state: { kind: 'databaseAway', message: '', kept: 1234 } }, 'yellow ring DB down, 1.2k stored'],
  [{ state: { kind: 'rateLimited', untilMs: 23_500 } }, 'yellow ring rate limited 24 s'],
  [
    { state: { kind: 'trouble', code: 'timeout', message: '' }, waiting: 2 },
    'yellow ring service unreachable',
  ],
  [{ state: { kind: 'trouble', code: 'http_500', message: '' }, waiting: 2 }, 'yellow ring service failing'],
  [{ state: { kind: 'refusing', message: '' }, waiting: 2 }, 'red ring service refuses all'],
  [{ state: { kind: 'outbox', code: 'full', message: '' } }, 'red ring disk full'],
  [{ login: { kind: 'refused', code: 'NOAUTH_EXPIRED', message: '' } }, 'red ring password expired'],
  [{ login: { kind: 'refused', code: 'NOAUTH_DISABLED', message: '' } }, 'red ring user disabled'],
  [{ login: { kind: 'refused', code: 'UNAUTH', message: '' } }, 'red ring not allowed'],
  [{ login: { kind: 'wait', untilMs: 0, code: 'tls', message: '' } }, 'red ring check certificate'],
  [{ login: { kind: 'wait', untilMs: 0, code: 'http_404', message: '' }, waiting: 4 }, 'red ring wrong URL'],
  [
    { login: { kind: 'wait', untilMs: 0, code: 'authentication_limit', message: '' } },
    'yellow ring login limit reached',
  ],
  [
    // Another account of the same member: this one goes on.
    { state: { kind: 'login', account: 'other', final: true, code: 'NOAUTH', message: '' }, waiting: 1 },
    'blue dot 1 pending, …',
  ],
];

describe('the status of the out node', () => {
  for (const [what, expected] of cases) {
    it(`says "${expected}"`, () => {
      assert.equal(shownFor(what), expected);
    });
  }

  it('changes at most once a second, to the current state, and never repeats itself', async () => {
    const watched = new Watched();
    watched.line.show('waiting', 'connecting');
    watched.follow({ waiting: 1 });
    for (let waiting = 2; waiting < 40; waiting += 1) {
      watched.now = { waiting };
      watched.line.refresh();
    }
    assert.deepEqual(watched.shown, ['yellow ring connecting']);
    await sleep(1_050);
    watched.line.refresh();
    assert.deepEqual(watched.shown, ['yellow ring connecting', 'blue dot 39 pending, …']);
    watched.line.stop();
  });

  it('shows for a while that the queue was full, or that messages were complete once queued', () => {
    for (const [key, expected] of [
      ['full', 'red ring queue full'],
      ['queuedOnly', 'blue dot done once stored'],
    ] as const) {
      const watched = new Watched();
      watched.line.tell(key);
      watched.follow({ waiting: 5 });
      watched.line.stop();
      assert.deepEqual(watched.shown, [expected]);
    }
  });

  it('shows the number of delivered entries for some seconds, then idle', async () => {
    const watched = new Watched();
    watched.line.deliveredSome(8);
    watched.line.deliveredSome(4);
    watched.follow({});
    assert.deepEqual(watched.shown, ['green dot 12 delivered']);
    // What waits says more.
    watched.now = { waiting: 3 };
    await sleep(1_100);
    assert.equal(watched.shown.at(-1), 'blue dot 3 pending, …');
    watched.now = {};
    await sleep(5_500);
    assert.deepEqual(watched.shown.slice(2), ['green dot 12 delivered', 'green dot ready']);
    watched.line.deliveredSome(1);
    await sleep(1_100);
    assert.equal(watched.shown.at(-1), 'green dot 1 delivered', 'counted anew');
    watched.line.stop();
  }).timeout(12_000);

  it('shows the number of invalid entries for a while if nothing is queued', () => {
    const watched = new Watched();
    watched.line.tell('invalid', 3);
    watched.line.tell('invalid', 2);
    watched.follow({});
    watched.line.stop();
    assert.deepEqual(watched.shown, ['yellow ring 5 invalid']);
  });

  it('shows that the store-and-forward buffer is full', () => {
    const watched = new Watched();
    watched.line.tell('full');
    watched.follow({ state: { kind: 'databaseAway', message: '', kept: 5 }, waiting: 5 });
    watched.line.stop();
    assert.deepEqual(watched.shown, ['red ring queue full']);
  });

  it('shows a remark in yellow while delivery works', () => {
    for (const [what, expected] of [
      [{}, 'yellow ring segment inactive'],
      [{ waiting: 7 }, 'yellow ring segment inactive'],
      [{ state: { kind: 'parked' }, waiting: 2 }, 'yellow ring deploying'],
      [{ state: { kind: 'standby', sender: 'b' } }, 'yellow ring segment inactive'],
    ] as [Case, string][]) {
      const watched = new Watched();
      watched.remark = 'segment inactive';
      watched.follow(what);
      watched.line.stop();
      assert.deepEqual(watched.shown, [expected]);
    }
  });

  it('always names a sandbox', () => {
    for (const [what, remark, expected] of [
      [{}, null, 'green dot ready · sandbox'],
      [{}, 'segment inactive', 'yellow ring segment inactive · sandbox'],
      [{ waiting: 7, rate: 7 }, null, 'blue dot 7 pending, 1 s · sandbox'],
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

const languages = ['en-US', 'de', 'ja'];
const outWords = (language: string): { _: ReturnType<typeof translate> } => ({
  _: translate(JSON.parse(read('instant-audience-out', `locales/${language}/instant-audience-out.json`))),
});

/** What stands in for each placeholder at its longest. */
const longestIn = (language: string) => {
  const number = short(9_900, language);
  const time = shortTime(3_599, outWords(language));
  const figures = { number, queued: number, kept: number, many: number, findings: number };
  return { ...figures, left: time, age: time, rate: '99.9' };
};

describe('figures of a status', () => {
  it('are written as the language writes them', () => {
    const pending = (language: string): string =>
      statusText({ key: 'working', params: { queued: 1234, left: { seconds: 42 } } }, outWords(language));
    assert.deepEqual(languages.map(pending), [
      '1.2k pending, 42 s',
      '1,2k wartend, 42 s',
      '待機1.2k件、残り42秒',
    ]);
    const age = (seconds: number) => (language: string) => shortTime(seconds, outWords(language));
    assert.deepEqual(languages.map(age(7_300)), ['2 h', '2 h', '2時間']);
    assert.deepEqual(languages.map(age(1e9)), ['> 99 d', '> 99 d', '99日超']);
  });

  it('are in English where the words have no language', () => {
    const words = {
      _: (key: string, params?: object) => (params === undefined ? key : JSON.stringify(params)),
    };
    assert.equal(statusText({ key: 'delivered', params: { number: 1234 } }, words), '{"number":"1.2k"}');
  });
});

describe('a status has at most 20 characters before the word for the sandbox', () => {
  it('with figures that are short however large they are', () => {
    for (const language of languages) {
      const longest = longestIn(language);
      for (const figure of [0, 999, 1_000, 9_949, 9_951, 99_999, 999_499, 999_500, 99e6, 1e9, 99e9])
        assert.ok(short(figure, language).length <= longest.number.length, short(figure, language));
      for (const seconds of [0.2, 59, 60, 3_599, 86_399, 86_400, 99 * 86_400, 1e9])
        assert.ok(shortTime(seconds, outWords(language)).length <= 6);
    }
  });

  const nodes = ['instant-audience-out', 'segment-builder', 'audience-usage'];
  const textsOf = (node: string, language: string): [key: string, text: string][] => {
    const all = JSON.parse(read(node, `locales/${language}/${node}.json`));
    const texts = Object.entries<string>(all.status ?? all['segment-builder'].status);
    assert.ok(texts.length > 1);
    return texts.filter(([key]) => key !== 'sandbox');
  };

  for (const language of languages) {
    for (const node of nodes)
      it(`in every text of ${node} in ${language}`, () => {
        const longest = longestIn(language);
        const shown = textsOf(node, language).map(([, text]) =>
          text.replace(/__(\w+?)__/g, (_mark, name: keyof ReturnType<typeof longestIn>) => {
            assert.ok(name in longest, text);
            return longest[name];
          }),
        );
        const isLong = (text: string): boolean => Array.from(text).length > 20;
        assert.deepEqual(shown.filter(isLong), []);
      });

    it(`and says the same thing in the same words, whatever node it is of, in ${language}`, () => {
      const said = new Map<string, string>();
      for (const [key, text] of nodes.flatMap((node) => textsOf(node, language))) {
        const words = text.replaceAll(/__\w+?__/g, '…');
        assert.equal(said.get(key) ?? words, words, key);
        said.set(key, words);
      }
    });
  }
});
