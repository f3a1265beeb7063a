// Who may import whom, type imports included; `npm run check` reads it. CONTRIBUTING.md, "The rules of the rooms".

/** Of each room of src/, the rooms that it may import. */
const rooms = {
  entry: [],
  consent: [],
  service: ['entry'],
  queue: ['entry'],
  'queue-postgres': ['entry', 'queue'],
  delivery: ['entry', 'service', 'queue', 'queue-postgres'],
  usage: ['entry', 'service', 'queue', 'delivery'],
  sync: ['entry', 'queue', 'delivery'],
  sandbox: [],
  /** The package's entry points for other programs. */
  library: ['entry', 'service', 'queue', 'delivery'],
};
/** Time, and calls in turn: files for every room. */
const common = '^src/((machine-)?clock|in-turn)[.]ts$';

/** Files of rooms that need Node.js, which themselves run in a browser: editor scripts import them by name. */
const inBrowser = '^src/(delivery/(dry-run|schedule/request-limits)|queue-postgres/postgres-url)[.]ts$';

const usual = [
  'src/(clock|in-turn)[.]ts',
  'src/entry',
  'src/consent',
  'src/service',
  'src/queue',
  'src/queue-postgres',
  'src/delivery',
  'nodes/shared',
];
const sandbox = 'src/sandbox/index[.]ts';
/** What an account and a segment builder offer other nodes. */
const account = 'nodes/account/(account-api|process-wide)[.]ts';
const builder = 'nodes/segment-builder/builder-node[.]ts';
/** What the tab Audience shows of synced segments. */
const syncs = 'nodes/audience-sync/(synced-segments|sync-text)[.]ts';
/** Rows are mapped as a builder maps items: saved properties and sentences. */
const rowMapping = 'nodes/segment-builder/(schema|words)[.]ts';

/** Of each folder of nodes/, the rooms and the other folders that it may import. */
const nodes = {
  account: [...usual, sandbox, builder],
  'audience-sync': [...usual, 'src/sync', account, rowMapping],
  'audience-usage': [...usual, 'src/usage', account],
  'instant-audience-out': [...usual, 'src/usage', account, builder],
  'segment-builder': [...usual, account],
  sidebar: [
    ...usual,
    'src/usage',
    'src/sync',
    sandbox,
    builder,
    syncs,
    'nodes/account',
    'nodes/instant-audience-out',
  ],
  shared: [...usual, account],
  types: [],
};

const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: '^(src|nodes|test|bench|scripts)/', pathNot: allowed },
});

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Files that import each other cannot be understood or moved one at a time.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'src-without-node-red',
      comment: 'Everything in src/ works without Node-RED.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: 'node_modules/(@types/)?(@node-red/|node-red)' },
    },
    {
      name: 'runtime-dependencies',
      comment: 'A user gets `dependencies` only.',
      severity: 'error',
      from: { path: '^(src|nodes)/', pathNot: '^nodes/(types/|[^/]+/editor)' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'rooms-through-index',
      comment:
        'The index.ts of a room names what nodes use of it. What its index.ts would drag into a browser is listed.',
      severity: 'error',
      from: { path: '^nodes/' },
      to: { path: '^src/', pathNot: ['^src/[^/]+/index[.]ts$', common, inBrowser] },
    },
    {
      name: 'index-for-nodes',
      comment: 'Inside src/ a file is imported by its name.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/([^/]+/index[.]ts$|library/)' },
    },
    ...Object.entries(rooms).map(([room, others]) =>
      only(
        `room-${room}`,
        `^src/${room}/`,
        [common, ...[room, ...others].map((name) => `^src/${name}/`)],
        'Imports point one way: nodes → usage, sync → delivery → queue-postgres → queue, service → entry.',
      ),
    ),
    only('room-common', common, [common], 'What is for every room imports none.'),
    ...Object.entries(nodes).map(([node, others]) =>
      only(
        `node-${node}`,
        `^nodes/${node}/`,
        [`nodes/${node}`, 'nodes/types', ...others].map((path) => `^${path}(/|$)`),
        'What a node may import is listed above.',
      ),
    ),
    {
      name: 'listed',
      comment: 'A new room or node says above what it may import.',
      severity: 'error',
      from: {
        path: '^(src|nodes)/',
        pathNot: [
          common,
          `^src/(${Object.keys(rooms).join('|')})/`,
          `^nodes/(${Object.keys(nodes).join('|')})/`,
        ],
      },
      to: {},
    },
    {
      name: 'editor-apart',
      comment: 'The runtime has no browser.',
      severity: 'error',
      from: { path: '^nodes/', pathNot: '^nodes/(types/|[^/]+/editor)' },
      to: { path: '^nodes/[^/]+/editor' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'test/tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
