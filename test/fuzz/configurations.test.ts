// Saved properties of any form, as a file may hold them: nodes that are there and say in a sentence what is wrong.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { isObject } from '../../src/entry/check';
import helper from 'node-red-node-test-helper';

import type { Problem } from '../../nodes/account/account-api';
import { engines } from '../../nodes/account/process-wide';
import { accountSchema } from '../../nodes/account/schema';
import { readSettings } from '../../nodes/account/settings';
import { builderSchema } from '../../nodes/segment-builder/schema';
import { problemSentence } from '../../nodes/segment-builder/words';
import { problemsInForm, readSaved } from '../../nodes/shared/saved';
import { compileBuilder } from '../../src/entry/mapping/build';
import { sentence } from '../../src/entry/issues';
import { load, sleep, unload, useNodeRed, wordsOf } from '../nodes/out-flow';
import { fuzz, fuzzAsync, timeoutMs } from './cases';
import { mutated, wildJson, wildText } from './wild';

const account = 'xandr-account';
const builder = 'xandr-segment-builder';
const out = 'xandr-instant-audience-out';
const usage = 'xandr-audience-usage';

/** An address that nobody listens at: nothing may leave this machine. */
const nowhere = 'http://127.0.0.1:9';
const key = readFileSync(path.join(__dirname, '..', 'service', 'fixtures', 'localhost-key.pem'), 'utf8');
const accounts = [
  { environment: 'sandbox' },
  {
    environment: 'custom',
    authUrl: nowhere,
    serviceUrl: nowhere,
    member: '7',
    username: 'me',
    password: 'secret',
    queue: 'memory',
  },
  {
    environment: 'production',
    member: 7,
    authMethod: 'jwt',
    username: 'me',
    keyName: 'k',
    privateKey: key,
    queueMaxMb: '10',
    tls: '',
    proxy: '',
  },
  {
    environment: 'sandbox',
    queue: 'shared',
    databaseHost: 'one.invalid, two.invalid:5433',
    databaseName: 'audience',
    databaseUser: 'me',
    databasePassword: 'secret',
  },
];

const row = { by: 'id', segment: '1', value: '2', expiration: '30', expirationUnit: 'days' };
const builders = [
  { userId: 'payload.user', segments: [row] },
  {
    source: 'items',
    userId: 'id',
    userIdType: 'item',
    action: 'property',
    actionProperty: 'what',
    segments: [{ ...row, by: 'code', segment: 'a', member: 7 }],
  },
];
const outs = [{ account: 'account', completeOn: 'accepted', dryRun: false, youngSegments: 'warn' }];
const usages = [
  { account: 'account', schedule: 'message', range: 'hour', detail: 'hourly' },
  { account: 'account', range: 'custom', from: 'from', fromType: 'msg', to: '' },
];

const wildValue = fc.oneof(
  wildJson,
  fc.constantFrom<unknown>(
    '${NOT_SET}',
    '$(NOT_SET)',
    'production',
    'custom',
    'jwt',
    'shared',
    'msg',
    'item',
    'jsonata',
    'num',
    'hold',
    'custom',
    'hourly',
  ),
);

const saved = (usual: readonly unknown[]): fc.Arbitrary<Record<string, unknown>> =>
  mutated(usual, wildValue).map((value) => asFile(isObject(value) ? value : { name: value }));

/** As a flow file brings it. What is too deep for JSON.stringify is in no file that Node-RED wrote. */
function asFile(properties: Record<string, unknown>): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(properties)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function hasWords({ key: name, params = {} }: Problem): void {
  const words: unknown = name.split('.').reduce<any>((level, part) => level?.[part], wordsOf('account'));
  assert.equal(typeof words, 'string', `${name} has no words`);
  for (const [, needed = ''] of String(words).matchAll(/__(\w+?)__/g))
    assert.ok(needed in params, `${name} lacks ${needed}`);
}

/** As the runtime looks words up; a key that is not there would come back as it is. */
function builderWord(name: string, params: Record<string, string | number> = {}): string {
  const words: unknown = name
    .split('.')
    .reduce<any>((level, part) => level?.[part], wordsOf('segment-builder'));
  assert.equal(typeof words, 'string', `${name} has no words`);
  return String(words).replace(/__(\w+?)__/g, (whole, key: string) => String(params[key] ?? whole));
}

describe('saved properties of any form', function () {
  this.timeout(timeoutMs);

  it('of an account are settings, or a problem that has words, for the runtime and in the form', () => {
    fuzz(saved(accounts), 2_000, (properties) => {
      const settings = readSettings(properties);
      if ('key' in settings) hasWords(settings);
      else {
        new URL(settings.serviceUrl);
        const { limits, queueMaxBytes } = settings;
        for (const figure of [
          ...Object.values(limits),
          queueMaxBytes,
          settings.queueMaxEntries,
          settings.warnAfterMs,
        ])
          assert.ok(Number.isSafeInteger(figure) && figure > 0, String(figure));
        assert.ok(!JSON.stringify({ ...settings, login: null }).includes('PRIVATE'));
      }
      for (const { code, params } of problemsInForm(accountSchema(properties), properties))
        hasWords({ key: `error.${code}`, params });
    });
  });

  it('of a builder are a builder, or issues with sentences', () => {
    const seen = { built: 0, refused: 0 };
    fuzz(saved(builders), 5_000, (properties) => {
      const reading = readSaved(builderSchema(properties), properties);
      if (!reading.ok) {
        seen.refused += 1;
        assert.ok(reading.problems.length > 0);
        for (const problem of reading.problems) {
          const told = problemSentence({ _: builderWord }, problem);
          assert.ok(told.length > 10 && !/__\w+__/.test(told), told);
        }
        return;
      }
      const compiled = compileBuilder(
        reading.settings,
        (value) =>
          ({ message }) =>
            message[value],
        () => null,
      );
      seen[compiled.ok ? 'built' : 'refused'] += 1;
      if (!compiled.ok) {
        assert.ok(compiled.issues.length > 0);
        for (const issue of compiled.issues) assert.ok(sentence(issue).length > 10, JSON.stringify(issue));
        return;
      }
      const result = compiled.builder.build({ payload: { user: 1 }, items: [{ id: 'x' }], what: 'add' });
      assert.ok(result instanceof Promise || result.kind === 'items' || sentence(result.issue).length > 10);
    });
    assert.ok(seen.built > 50 && seen.refused > 50, JSON.stringify(seen));
  });
});

/**
 * Node-RED itself makes a text of each property, to look for the nodes that it may name, copies it by these names, and
 * asks each node for what it has of its own.
 */
const usedByNodeRed = new RegExp(
  `"(length|${Object.getOwnPropertyNames(Object.prototype).join('|')})":`,
  'g',
);
const withUsualNames = (properties: object): Record<string, unknown> =>
  JSON.parse(JSON.stringify(properties).replace(usedByNodeRed, '"its $1":')) as Record<string, unknown>;

const textOf = (value: unknown): string | undefined =>
  ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;

describe('flows with saved properties of any form', function () {
  this.timeout(timeoutMs);
  useNodeRed();
  afterEach(async () => {
    await unload();
    await engines.closeParked();
  });

  const ofAll = fc.record({
    account: saved(accounts.slice(0, 2)),
    builder: saved(builders),
    out: saved(outs),
    usage: saved(usages),
    credentials: fc.record(
      { username: wildText, password: wildText, privateKey: wildText },
      { requiredKeys: [] },
    ),
  });
  const perLoad = 10;

  /** What our nodes logged, without what they repeat of their properties. */
  function told(): string[] {
    const lines = (helper as any).log().args.map(([line]: [{ type?: string; msg: unknown }]) => line);
    return lines
      .filter(({ type }: { type?: string }) => type?.startsWith('instant-audience'))
      .map(({ msg }: { msg: unknown }) =>
        String((msg as Error | null)?.message ?? msg).replace(/"[^"]*"/g, '""'),
      );
  }

  it('start with every node, each of which ends its messages and says what is wrong', async () => {
    await fuzzAsync(
      fc.array(ofAll, { minLength: perLoad, maxLength: perLoad }),
      10,
      async (list) => {
        const nodes = list.flatMap((one, at) => nodesOf(one, at));
        const credentials = Object.fromEntries(list.map((one, at) => [`account ${at}`, one.credentials]));
        await load(nodes, credentials);
        for (const { id } of nodes) assert.ok(helper.getNode(id), `${id} was not made`);
        for (const { id, type } of nodes)
          if (type !== account) helper.getNode(id).receive({ payload: { user: 'x' }, items: [] });
        await sleep(20);
        // An account may be called by such a word.
        const names = list.map((one) => textOf((one.account as { name?: unknown }).name) ?? '');
        for (const whole of told()) {
          const line = names
            .reduce((rest, name) => (name === '' ? rest : rest.replaceAll(name, '')), whole)
            // Our own sentence for a value that is not there.
            .replaceAll('has no value (undefined)', '');
          assert.ok(!/undefined|\[object Object\]|TypeError|RangeError|is not a function/.test(line), line);
        }
        await unload();
      },
      perLoad * 4,
    );
  });

  function nodesOf(
    one: { account: object; builder: object; out: object; usage: object },
    at: number,
  ): { id: string; type: string }[] {
    const node = (type: string, id: string, properties: object): { id: string; type: string } => {
      // What Node-RED itself reads must be right, or it makes no node.
      const {
        wires: _wires,
        credentials: _credentials,
        d: _d,
        g: _g,
        env: _env,
        ...rest
      } = withUsualNames(properties);
      return {
        ...rest,
        id: `${id} ${at}`,
        type,
        ...(type === account ? {} : { z: 'flow', x: 0, y: 0, wires: [[], []] }),
      };
    };
    const own = { account: `account ${at}` };
    const reachable = { authUrl: nowhere, serviceUrl: nowhere };
    const isElsewhere = (one.account as { environment?: unknown }).environment === 'production';
    return [
      node(account, 'account', {
        ...one.account,
        ...reachable,
        ...(isElsewhere ? { environment: 'custom' } : {}),
      }),
      node(builder, 'builder', one.builder),
      node(out, 'out', { ...one.out, ...(at % 2 === 0 ? own : {}) }),
      node(usage, 'usage', { ...one.usage, ...(at % 2 === 0 ? own : {}) }),
    ];
  }
});
