// A flow around out nodes in a real Node-RED runtime, with the real words: outputs, caught errors, statuses.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hooks, i18n } from '@node-red/util';
import helper from 'node-red-node-test-helper';
import accountNode from '../../nodes/account/account';
import { engines, sandbox } from '../../nodes/account/process-wide';
import outNode from '../../nodes/instant-audience-out/instant-audience-out';
import builderNode from '../../nodes/segment-builder/segment-builder';
import syncNode from '../../nodes/audience-sync/audience-sync';
import usageNode from '../../nodes/audience-usage/audience-usage';

const nodesFolder = path.join(__dirname, '..', '..', 'nodes');
const prefix = '@instant-audience/node-red-xandr/xandr-';
const files = {
  account: 'account.json',
  'instant-audience-out': 'instant-audience-out.json',
  'audience-usage': 'audience-usage.json',
  'audience-sync': 'audience-sync.json',
  'segment-builder': 'segment-builder.json',
} as const;
type NodeSet = keyof typeof files;

const words = new Map<NodeSet, any>();

export function wordsOf(set: NodeSet): any {
  const file = path.join(nodesFolder, set, 'locales', 'en-US', files[set]);
  if (!words.has(set)) words.set(set, JSON.parse(readFileSync(file, 'utf8')));
  return words.get(set);
}

/** A key that is not there, or a placeholder without its value, in any text since the last look. */
const wordProblems: string[] = [];

function lookUp(key: string, set: NodeSet): string | undefined {
  const [full, own] = key.startsWith(prefix) ? key.slice(prefix.length).split(':') : [set, key];
  let value = wordsOf(full as NodeSet);
  for (const part of own!.split('.')) value = value?.[part];
  return typeof value === 'string' ? value : undefined;
}

function checkWord(key: string, params: Record<string, unknown>, set: NodeSet): void {
  const template = lookUp(key, set);
  // A reason that the service gives is told in its own words when there are none.
  if (template === undefined && !key.startsWith('rejection.')) wordProblems.push(`${key} is missing`);
  for (const [, name] of (template ?? '').matchAll(/__(\w+?)__/g)) {
    if (params[name!] === undefined) wordProblems.push(`${key}: ${name} has no value`);
  }
  if ('count' in params) wordProblems.push(`${key}: i18next takes count for a plural`);
}

let userDir = '';
/** What Node-RED's `settings.get` gives the nodes; empty again after a test that wrote into it. */
export const keptSettings = new Map<string, unknown>();

/** Where the nodes keep their files. */
export function nodesUserDir(): string {
  return userDir;
}

/** As Node-RED loads it: with its own words; and with files in a folder of the test. */
function loaded(node: unknown, set: NodeSet): unknown {
  return (red: any) =>
    (node as (red: unknown) => void)(
      Object.create(red, {
        settings: { value: { userDir, get: (name: string) => keptSettings.get(name) } },
        _: {
          value: (key: string, params: Record<string, unknown> = {}) => {
            checkWord(key, params, set);
            return i18n._(key.includes(':') ? key : `${prefix}${set}:${key}`, params as any);
          },
        },
      }),
    );
}

/** Starts and stops what the tests of a file need around them. */
export function useNodeRed(): void {
  before((done) => {
    userDir = mkdtempSync(path.join(tmpdir(), 'instant-audience-'));
    (i18n as any).init({ lang: 'en-US' });
    const sets = Object.entries(files);
    void Promise.all(
      sets.map(([set, file]) =>
        i18n.registerMessageCatalog(`${prefix}${set}`, path.join(nodesFolder, set, 'locales'), file),
      ),
    ).then(() => helper.startServer(done), done);
    hooks.add('onComplete.test', onComplete);
    (helper as any)._events.on('node-status', onStatus);
  });
  afterEach(() => {
    flowsUnderTest.forEach(checkStatuses);
    const problems = wordProblems.splice(0);
    if (problems.length > 0) throw new Error(problems.join('; '));
  });
  after(async () => {
    hooks.remove('*.test');
    (helper as any)._events.off('node-status', onStatus);
    await engines.closeParked();
    await sandbox.stopUnused();
    rmSync(userDir, { recursive: true, force: true });
    await new Promise<void>((done) => helper.stopServer(done));
  });
}

/** What the nodes have of Node-RED. */
export function nodesRed(): any {
  return { nodes: (helper as any)._redNodes };
}

export function unload(): Promise<void> {
  return helper.unload();
}

/** As a process that ends and starts again: engines are closed, files stay. */
export async function restart(): Promise<void> {
  await helper.unload();
  await engines.closeParked();
}

export interface Shown {
  readonly text: string;
  readonly fill: string;
  readonly shape: string;
  readonly atMs: number;
}

/** One out node, and what became of its messages. */
export class Flow {
  readonly accepted: any[] = [];
  readonly rejected: any[] = [];
  /** Messages that ended well. */
  readonly completed: any[] = [];
  /** Errors that ended a message, as texts. */
  readonly errors: string[] = [];
  readonly shown: Shown[] = [];
  /** Where in `shown` each node instance begins. */
  readonly starts: number[] = [];
  private readonly watched = new WeakSet<object>();
  private sent = 0;

  constructor(readonly out = 'out') {}

  get node(): any {
    return helper.getNode(this.out);
  }

  /** Not between the stop and the start of a deploy. */
  get isThere(): boolean {
    return Boolean(this.node);
  }

  get status(): string | undefined {
    return this.shown.at(-1)?.text;
  }

  /** The config of the out node and of what is wired to it. */
  nodes(changes: object = {}): object[] {
    const { out } = this;
    const wires = [[`${out} accepted`], [`${out} rejected`]];
    const config = [
      { id: out, type: 'xandr-instant-audience-out', account: 'account', wires, ...changes },
      ...['accepted', 'rejected'].map((end) => ({ id: `${out} ${end}`, type: 'helper', wires: [] })),
    ];
    // Without a place in the workspace a node counts as configuration.
    return config.map((node) => ({ z: 'flow', x: 0, y: 0, ...node }));
  }

  /** After each start of the flow: its helper nodes may be new. */
  watch(): void {
    for (const end of ['accepted', 'rejected'] as const) {
      const node = helper.getNode(`${this.out} ${end}`);
      if (!node || this.watched.has(node)) continue;
      this.watched.add(node);
      node.on('input', (message: any) => this[end].push(message));
    }
  }

  get ends(): number {
    return this.completed.length + this.errors.length;
  }

  /** What came before is not looked at any more. */
  forget(): void {
    if (this.ends !== this.sent) throw new Error(`${this.sent} messages, ${this.ends} ends`);
    this.sent = 0;
    for (const list of [this.accepted, this.rejected, this.errors, this.completed]) list.length = 0;
    // The helper spies on every node, and keeps every message with it: a long run would run out of memory.
    (helper as any)._sandbox.resetHistory();
  }

  /** Hands messages to the node; they end later. */
  give(...messages: object[]): void {
    this.sent += messages.length;
    for (const message of messages) this.node.receive(message);
  }

  /** Hands messages to the node and waits until each has ended; then, that none ends twice. */
  async send(...messages: object[]): Promise<void> {
    this.give(...messages);
    await this.allEnded();
  }

  async allEnded(): Promise<void> {
    await until(() => this.ends >= this.sent, `${this.sent} messages end`);
    await sleep(10);
    if (this.ends !== this.sent) throw new Error(`${this.sent} messages, ${this.ends} ends`);
  }

  /** What the flow author reads in the last error. */
  get error(): string {
    return this.errors.at(-1) ?? '';
  }
}

let flowsUnderTest: readonly Flow[] = [];

function flowOf(id: string): Flow | undefined {
  return flowsUnderTest.find(({ out }) => out === id);
}

interface Completion {
  readonly msg: unknown;
  readonly error?: Error | string;
  readonly node: { readonly id: string };
}

function onComplete({ msg, error, node }: Completion): void {
  const flow = flowOf(node.id);
  if (error === undefined) flow?.completed.push(msg);
  // Of an object the debug sidebar shows the first 30 characters only.
  else flow?.errors.push(typeof error === 'string' ? error : `an object: ${error.message}`);
}

function onStatus({ id, status }: { readonly id: string; readonly status?: Shown }): void {
  if (status?.text !== undefined) flowOf(id)?.shown.push({ ...status, atMs: performance.now() });
}

/** New node instances may show something at once. */
function begin(flows: readonly Flow[]): void {
  flowsUnderTest = flows;
  for (const flow of flows) flow.starts.push(flow.shown.length);
}

/** At most one status a second, and only when it changed. */
function checkStatuses({ out, shown, starts }: Flow): void {
  shown.forEach((status, at) => {
    const before = shown[at - 1];
    if (before === undefined || starts.includes(at)) return;
    if (status.atMs - before.atMs < 990)
      throw new Error(`${out}: ${before.text} and ${status.text} within a second`);
    if (status.text === before.text && status.fill === before.fill)
      throw new Error(`${out}: ${status.text} twice`);
  });
}

/** Node-RED's own: configuration nodes that an account may use, links, and Complete nodes. */
const ownNodes: unknown[] = [
  'network/05-tls',
  'network/06-httpproxy',
  'common/60-link',
  'common/24-complete',
].map((name) => createRequire(__filename)(`@node-red/nodes/core/${name}.js`) as unknown);
const tab = { id: 'flow', type: 'tab', label: 'test' };

export function load(nodes: readonly object[], credentials: object, ...flows: Flow[]): Promise<void> {
  return loadWith(loaded(accountNode, 'account'), nodes, credentials, ...flows);
}

/** With another account node in the place of ours. */
export async function loadWith(
  account: unknown,
  nodes: readonly object[],
  credentials: object,
  ...flows: Flow[]
): Promise<void> {
  begin(flows);
  const ours = [
    loaded(outNode, 'instant-audience-out'),
    loaded(usageNode, 'audience-usage'),
    loaded(syncNode, 'audience-sync'),
    loaded(builderNode, 'segment-builder'),
  ];
  const types = [account, ...ours, ...ownNodes];
  const started = watchAtStart(flows);
  await helper.load(types, [tab, ...nodes], credentials);
  await started;
}

/** At once when the flows have started, and not when the call resolves that starts them: nodes may send before that. */
function watchAtStart(flows: readonly Flow[]): Promise<void> {
  return new Promise((resolve) =>
    (helper as any)._events.once('flows:started', () => {
      for (const flow of flows) flow.watch();
      resolve();
    }),
  );
}

/** Node-RED's own. */
const levels = { warn: 30, info: 40 } as const;

/** Everything that was logged since the flow was loaded, or what was logged at one level. */
export function logged(level: keyof typeof levels | null = null): string[] {
  const spy = (helper as any).log();
  const lines: { level: number; msg: unknown }[] = spy.args.map(([line]: [never]) => line);
  return lines
    .filter((line) => level === null || line.level === levels[level])
    .map(({ msg }) => String((msg as Error | null)?.message ?? msg));
}

/** A deploy of the editor: waits until the flows run again. */
export async function deploy(
  nodes: readonly object[],
  type: 'full' | 'flows' | 'nodes',
  ...flows: Flow[]
): Promise<void> {
  begin(flows);
  const started = watchAtStart(flows);
  await (helper as any)._redNodes.setFlows([tab, ...nodes], null, type);
  await started;
}

/** The queue that an account uses; those of earlier tests may still be open. */
export function usedQueue(): ReturnType<typeof engines.list>[number] {
  return engines.list().find(({ accounts }) => accounts.length > 0)!;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(condition: () => boolean, what: string, forMs = 8_000): Promise<void> {
  const endMs = performance.now() + forMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`${what}: did not happen`);
    await sleep(5);
  }
}

export const idfa = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

export function entry(number: number, expiration = 60, segment = 10001): any {
  return { user_id: idfa(number), domain: 'idfa', seg_block: [{ seg_id: segment, expiration }] };
}

/** An account of a service, such as a sandbox, at this address. */
export function customAccount(url: string, changes: object = {}): object {
  return {
    id: 'account',
    type: 'xandr-account',
    environment: 'custom',
    authUrl: url,
    serviceUrl: url,
    member: '7',
    ...changes,
  };
}

export function login(password = 'secret', account = 'account'): object {
  return { [account]: { username: 'me', password } };
}
