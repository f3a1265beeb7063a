// Values that no schema foresees: what JSON can hold, and what only a function node can make.
import fc from 'fast-check';

/** `[[[…]]]`: a thousand levels are parsed by anybody, a hundred thousand break whoever calls himself for each. */
function deepList(levels: number): unknown {
  let value: unknown = 'x';
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { deeper: value };
  return value;
}

const oddText = fc.constantFrom(
  '',
  ' ',
  '\u0000',
  '\ud800',
  '__proto__',
  'constructor',
  'NaN',
  '1e999',
  '9'.repeat(400),
  'x'.repeat(5_000),
  '😀',
  '</script><script>alert(1)</script>',
  "'; DROP TABLE entry; --",
  '${HOME}',
  '../../etc/passwd',
);
export const wildText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
  oddText,
);

const wildNumber = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(0, -0, -1, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, 1e-320),
);

/** Names that our code looks for, on objects where they do not belong, and names with a meaning in JavaScript. */
const names = fc.oneof(
  wildText,
  fc.constantFrom(
    'user_id',
    'seg_block',
    'rt_segment',
    'domain',
    'response',
    'message',
    'status',
    'warnings',
    'error_id',
    '__proto__',
    'toString',
    'toJSON',
    'length',
    'then',
    'constructor',
  ),
);

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    wildText,
    wildNumber,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(names, tie('value'), { maxKeys: 5 }),
  ),
})).value;

/** Anything that JSON can hold; objects may have a key `[object Object]` of their own, as JSON.parse makes it. */
export const wildJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 12, arbitrary: plain },
  { weight: 1, arbitrary: fc.constantFrom(100, 1_000, 100_000).map(deepList) },
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 3_000 }, (_, at) => at)) },
);

function throwing(): never {
  throw new Error('a getter of the flow throws');
}

/** What a function node may put into a message. Made anew for each case, as some of it can be changed. */
const odd: readonly (() => unknown)[] = [
  () => undefined,
  () => NaN,
  () => Infinity,
  () => 12n ** 80n,
  () => Symbol('a symbol'),
  () => () => 'a function',
  () => new Date(NaN),
  () => new Date(1_700_000_000_000),
  () => Buffer.from('a buffer'),
  () => new Float64Array(3),
  () => new Map([['user_id', 1]]),
  () => Promise.resolve([]),
  () => new Error('an error'),
  () => /a pattern/,
  () => Object.create(null) as object,
  () => Object.assign(Object.create({ user_id: 'inherited' }) as object, { seg_block: [] }),
  () => {
    const circle: Record<string, unknown> = { user_id: 'circle' };
    circle.seg_block = [circle];
    return circle;
  },
  () => Object.defineProperty({ seg_block: [] }, 'user_id', { get: throwing, enumerable: true }),
  () => new Proxy({}, { get: throwing, ownKeys: throwing, getOwnPropertyDescriptor: throwing }),
  () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    // Within something, since fast-check itself looks at each value.
    return { user_id: proxy, seg_block: [proxy] };
  },
  () => ({
    get [Symbol.toStringTag](): string {
      return throwing();
    },
  }),
  () =>
    new Proxy([], {
      get: () => {
        throw Object.defineProperty(new Error(), 'message', { get: throwing });
      },
    }),
  () => ({ toString: throwing, toJSON: throwing, valueOf: throwing }),
  () => new String('a boxed text'),
  () => new Array(20),
  () => ({ length: 3, 0: {} }),
  () => Object.freeze([{}]),
  () => deepList(100_000),
];

/** Anything at all that a message may hold. */
export const wild: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: wildJson },
  { weight: 2, arbitrary: fc.constantFrom(...odd).map((make) => make()) },
);

type Json = unknown;

/** The upper places in a value, as paths. */
function placesIn(value: Json, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null || path.length > 8) return [path];
  return [path, ...Object.entries(value).flatMap(([key, one]) => placesIn(one, [...path, key]))];
}

function withAt(value: Json, [first, ...rest]: readonly string[], put: (before: Json) => Json): Json {
  if (first === undefined) return put(value);
  const copy: any = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) };
  copy[first] = withAt(copy[first], rest, put);
  return copy;
}

type Change = (before: Json) => Json;

const changes = (other: fc.Arbitrary<unknown>): fc.Arbitrary<Change> =>
  fc.oneof(
    { weight: 4, arbitrary: other.map((put) => () => put) },
    // Another key beside it, or one away.
    {
      weight: 2,
      arbitrary: fc.tuple(names, other).map(
        ([name, put]): Change =>
          (value) =>
            typeof value === 'object' && value !== null && !Array.isArray(value)
              ? { ...value, [name]: put }
              : put,
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constant<Change>((value) => {
        if (Array.isArray(value)) return value.slice(1) as unknown;
        if (typeof value !== 'object' || value === null) return undefined;
        return Object.fromEntries(Object.entries(value).slice(1));
      }),
    },
    { weight: 1, arbitrary: fc.constant<Change>((value) => [value, value]) },
    {
      weight: 1,
      arbitrary: fc.constant<Change>((value) => (typeof value === 'number' ? String(value) : typeof value)),
    },
  );

/** The values with up to four changes in them at any place. */
export function mutated(values: readonly Json[], other: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const change = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), changes(other));
  return fc.tuple(fc.constantFrom(...values), fc.array(change, { maxLength: 4 })).map(([value, list]) =>
    list.reduce<Json>((now, [part, apply]) => {
      try {
        const places = placesIn(now);
        return withAt(now, places[Math.floor(part * places.length)]!, apply);
      } catch {
        // What was put in before throws when somebody looks at it.
        return now;
      }
    }, value),
  );
}
