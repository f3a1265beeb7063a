// Whatever a message holds: entries that are checked, or an issue with a sentence; and each message ends once.
import assert from 'node:assert/strict';
import fc from 'fast-check';

import { engines } from '../../nodes/account/process-wide';
import { checkEntry, type CheckOptions } from '../../src/entry/check';
import { parseBody } from '../../src/entry/read-body';
import type { Entry } from '../../src/entry/entry';
import { sentence, type Issue } from '../../src/entry/issues';
import { shortenThrown } from '../../src/entry/shorten';
import { readEntries } from '../../src/entry/read-input';
import { queuedBody, userHead } from '../../src/entry/serialise';
import { entry as validEntry } from '../entry/arbitraries';
import {
  customAccount,
  entry as rightEntry,
  Flow,
  load,
  login,
  unload,
  until,
  usedQueue,
  useNodeRed,
} from '../nodes/out-flow';
import { httpServer, listen, type Running } from '../service/loopback';
import { fuzz, fuzzAsync, timeoutMs } from './cases';
import { mutated, wild } from './wild';

const usual: readonly Entry[] = [
  {
    user_id: '11111111-2222-4333-8444-555555555555',
    domain: 'idfa',
    seg_block: [{ seg_id: 1, value: 1, expiration: 60 }],
  },
  {
    user_id: '1234567890',
    seg_block: [{ seg_code: 'a', member_id: 7, expiration: -1 }, { seg_id: 2 }],
    event_time: 1_700_000_000_000,
  },
  { user_id: 'x', domain: 'mine', custom_domain: true, seg_block: [{ seg_id: 3 }] },
];

const entry = fc.oneof(
  { weight: 3, arbitrary: mutated(usual, wild) },
  { weight: 1, arbitrary: validEntry },
  { weight: 1, arbitrary: wild },
);
const payload: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: entry },
  { weight: 3, arbitrary: fc.array(entry, { maxLength: 5 }) },
  { weight: 2, arbitrary: fc.array(entry, { maxLength: 5 }).map((rt_segment) => ({ rt_segment })) },
  { weight: 1, arbitrary: mutated([{ rt_segment: [usual[0]] }], wild) },
);

function isTold(issues: readonly Issue[]): void {
  assert.ok(issues.length > 0);
  for (const issue of issues) {
    const text = sentence(issue);
    assert.ok(text.length > 10 && text.length < 1_000, text);
    assert.ok(!/__(got|path|known|max|min|meant|reason)__/.test(text), text);
  }
}

/** True for a valid one. */
function isCheckedOrTold(value: unknown, options: CheckOptions): boolean {
  const checked = checkEntry(value, options);
  if (!checked.ok) {
    isTold(checked.issues);
    return false;
  }
  const { eventTimeMs: _time, ...kept } = checked.entry;
  const body = queuedBody(checked.entry);
  const { eventTimeMs: _none, ...read } = parseBody(body);
  assert.deepEqual(read, kept);
  assert.equal(Buffer.byteLength(userHead(checked.entry)), kept.headBytes);
  assert.ok(kept.blocks.length > 0 && Buffer.byteLength(body) > kept.headBytes);
  return true;
}

describe('a message of any form', function () {
  this.timeout(timeoutMs);

  it('is read as entries, each of them checked or told what is wrong', () => {
    for (const options of [{}, { allowUnknownFields: true, ages: false }]) {
      const seen = { valid: 0, invalid: 0 };
      fuzz(entry, 2_500, (value) => void (seen[isCheckedOrTold(value, options) ? 'valid' : 'invalid'] += 1));
      assert.ok(seen.valid > 100 && seen.invalid > 100, JSON.stringify(seen));
    }
  });

  it('is entries or an issue', () => {
    fuzz(payload, 1_000, (value) => {
      const read = readSafely(value);
      if (read === null) return;
      if (read.ok) assert.ok(read.entries.length > 0);
      else isTold([read.issue]);
    });
  });
});

/** Null for an object that cannot even be looked at; the node tells that itself. */
function readSafely(value: unknown): ReturnType<typeof readEntries> | null {
  try {
    return readEntries(value);
  } catch (error) {
    assert.match(shortenThrown(error), /revoked|a getter of the flow|cannot be read/);
    return null;
  }
}

describe('the out node, given messages of any form', function () {
  this.timeout(timeoutMs);
  useNodeRed();
  /** Takes everything: the sandbox would find most segments unknown, and the engine wait for somebody to look. */
  let service: Running;
  let users = 0;
  const flow = new Flow();

  before(async () => {
    service = await listen(
      httpServer(({ url, body }, response) => {
        if (url.endsWith('/rt-segment'))
          users += (JSON.parse(body) as { rt_segment: unknown[] }).rt_segment.length;
        response.end(
          '{"response":{"status":"OK","token":"hbapi:1:a:nym2","warnings":[],"count":0,"segments":[]}}',
        );
      }),
    );
  });
  after(() => service.close());
  afterEach(async () => {
    await unload();
    await engines.closeParked();
  });

  const message = fc
    .tuple(
      payload,
      fc.option(fc.record({ control: wild, user_id: wild, domain: wild }, { requiredKeys: [] })),
    )
    .map(([value, control]) => ({ payload: value, ...(control ?? {}) }));

  it('ends each once, and loses no entry that is valid', async () => {
    const url = `http://127.0.0.1:${service.port}`;
    const account = customAccount(url, {
      queue: 'memory',
      postsPerSecond: 10_000,
      usersPerSecond: 1_000_000,
    });
    await load([account, ...flow.nodes()], login(), flow);
    const engine = () => usedQueue().engine;
    await until(() => engines.list().some(({ accounts }) => accounts.length > 0), 'the engine is there');
    await fuzzAsync(
      fc.array(message, { minLength: 5, maxLength: 5 }),
      150,
      async (messages) => {
        const before = engine().counters.taken;
        // One that is right behind those of any form: whatever came before, it gets through.
        const all = [...messages, { payload: rightEntry(1) }];
        const valid = all.flatMap(validIn).length;
        await flow.send(...all);
        assert.equal(engine().counters.taken - before, valid);
        flow.forget();
      },
      5,
    );
    const { taken, accepted, superseded, expired, rejected, waiting } = engine().counters;
    assert.ok(taken > 50 && users > 50, `${taken} entries, ${users} users`);
    assert.deepEqual([accepted + superseded + expired, rejected, waiting], [taken, 0, 0]);
  });

  function validIn(given: { readonly payload: unknown; readonly control?: unknown }): unknown[] {
    if (given.control !== undefined) return [];
    const read = readSafely(given.payload);
    return read?.ok === true ? read.entries.filter((one) => checkEntry(one).ok) : [];
  }
});
