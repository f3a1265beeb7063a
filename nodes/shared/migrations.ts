// What flows saved by earlier versions lack or spell differently, put right on load: in the runtime and in the editor.
//
// Nothing says which version saved a node, and nothing has to: each step looks at what is there and leaves alone what
// is in order already. A step may add a default, or take the value of a property that has another name now. Such an
// old name has to stay in the editor's `defaults`, since the editor drops what is not in there before anybody sees it.

/** Saved properties of one node, as the flow file has them. */
export type Saved = Readonly<Record<string, unknown>>;

/** Gives back the properties as they should be; what it got is not changed. */
export type Step = (saved: Saved) => Saved;

/** Adds what is missing; what is there, also as null or '', was meant. */
export function withDefaults(defaults: Saved): Step {
  return (saved) => {
    const missing = Object.entries(defaults).filter(([property]) => saved[property] === undefined);
    return missing.length === 0 ? saved : { ...saved, ...Object.fromEntries(missing) };
  };
}

/**
 * Leaves out blanks around the texts of these properties, which are choices, paths and numbers: values of `${ENV}`
 * come from files and bring blanks that nobody meant. The account reads its own so (`settings.ts`).
 */
function withoutBlanks(...properties: readonly string[]): Step {
  return (saved) => {
    const trimmed = properties.flatMap((property) => {
      const value = saved[property];
      return typeof value === 'string' && value !== value.trim() ? [[property, value.trim()] as const] : [];
    });
    return trimmed.length === 0 ? saved : { ...saved, ...Object.fromEntries(trimmed) };
  };
}

/** Design section 3. The first rows had neither a name nor types. */
const rowDefaults = withDefaults({
  by: 'id',
  segment: '',
  name: '',
  member: '',
  memberType: 'num',
  value: '',
  valueType: 'num',
  expiration: '30',
  expirationType: 'num',
  expirationUnit: 'days',
});

const rowTypes = ['segmentType', 'memberType', 'valueType', 'expirationType'];
const rowChoices = withoutBlanks('by', ...rowTypes, 'expirationUnit');

/** An id written into a file is a number as often as a text. */
const textProperties = ['segment', 'member', 'value', 'expiration'];

function migrateRow(row: unknown): unknown {
  if (!isRecord(row)) return row;
  const whole = rowChoices(rowDefaults(row));
  const typed = withDefaults({ segmentType: whole.by === 'code' ? 'str' : 'num' })(whole);
  const numbers = textProperties.filter((property) => typeof typed[property] === 'number');
  const texts =
    numbers.length === 0
      ? typed
      : { ...typed, ...Object.fromEntries(numbers.map((property) => [property, String(typed[property])])) };
  return withoutBlanks(...textProperties.filter((property) => texts[`${property}Type`] === 'num'))(texts);
}

/** Rows that are no list, or no rows, are left for the checks to tell. */
const migrateRows: Step = (saved) => {
  const rows = saved.segments;
  if (!Array.isArray(rows)) return saved;
  const migrated = rows.map(migrateRow);
  return migrated.every((row, index) => row === rows[index]) ? saved : { ...saved, segments: migrated };
};

const steps: Readonly<Record<string, readonly Step[]>> = {
  'xandr-account': [
    withDefaults({
      name: '',
      environment: 'sandbox',
      authUrl: 'https://api.appnexus.com',
      serviceUrl: 'https://streaming-data.appnexus.com',
      member: '',
      authMethod: 'password',
      keyName: '',
      postsPerSecond: 100,
      usersPerSecond: 1000,
      maxConcurrent: 15,
      usersPerPost: 1000,
      blocksPerUser: 100,
      maxBodyBytes: 1_000_000,
      readsPerSecond: 1000,
      apiReadsPerMinute: 100,
      sandboxWarmUpMinutes: 20,
      sandboxDefaultExpirationMinutes: 43_200,
      queue: 'disk',
      databaseTls: '',
      queueMaxEntries: 5_000_000,
      queueMaxMb: 2_048,
      warnAfterMinutes: 2,
      encryptIds: false,
      tls: '',
      proxy: '',
    }),
  ],
  'xandr-segment-builder': [
    withDefaults({
      name: '',
      account: '',
      source: 'message',
      items: 'payload',
      itemsType: 'msg',
      userId: '',
      userIdType: 'msg',
      domain: '',
      domainType: 'str',
      allowCustomDomain: false,
      action: 'add',
      actionProperty: '',
      actionType: 'msg',
      segments: [],
      eventTime: '',
      eventTimeType: 'msg',
      output: 'payload',
      outputType: 'msg',
    }),
    withoutBlanks('source', 'itemsType', 'userIdType', 'domainType', 'action', 'actionType', 'eventTimeType'),
    withoutBlanks('account', 'outputType'),
    migrateRows,
  ],
  'xandr-instant-audience-out': [
    withDefaults({
      name: '',
      account: '',
      input: 'payload',
      inputType: 'msg',
      completeOn: 'accepted',
      youngSegments: 'warn',
      lateAdds: 'shorten',
      allowUnknownFields: false,
      dryRun: false,
    }),
    withoutBlanks(
      'account',
      'input',
      'inputType',
      'completeOn',
      'youngSegments',
      'lateAdds',
      'allowUnknownFields',
      'dryRun',
    ),
  ],
  'xandr-audience-usage': [
    withDefaults({
      name: '',
      account: '',
      schedule: 'message',
      range: 'hour',
      from: '',
      fromType: 'msg',
      to: '',
      toType: 'msg',
      detail: 'hourly',
    }),
    withoutBlanks('account', 'schedule', 'range', 'fromType', 'toType', 'detail'),
  ],
};

/**
 * The saved properties of a node of one of our types as this version has them; the same object when nothing had to
 * be done, and for any other type. Migrating twice is migrating once.
 */
export function migrate<T extends object>(type: string, saved: T): T {
  return (steps[type] ?? []).reduce<Saved>((properties, step) => step(properties), saved as Saved) as T;
}

function isRecord(value: unknown): value is Saved {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
