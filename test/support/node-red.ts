// A real Node-RED with the packed package in it as a user has it: 5, or 4.1 where NODE_RED_VERSION says so.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Packed } from '../../scripts/user-dir.mjs';
import { nodeBinary, nodeJs, type NodeJsLine } from './node-js';

const root = path.join(__dirname, '..', '..');
/** Each on the Node.js of many of its users: 4.1 on the oldest line that is admitted. */
const versions = {
  '5': { program: path.join(root, 'node_modules', 'node-red', 'red.js'), node: 24 },
  '4.1': { program: path.join(root, 'node_modules', 'node-red-4', 'red.js'), node: 22 },
} as const;

export type NodeRedVersion = keyof typeof versions;

/** Which Node-RED this run of the tests starts: `npm run test:4.1` sets it. */
export const nodeRedVersion = versionOf(process.env.NODE_RED_VERSION ?? '5');
/** The line of Node.js that it runs on. */
export const nodeJsLine: NodeJsLine = versions[nodeRedVersion].node;

function versionOf(name: string): NodeRedVersion {
  if (!(name in versions)) throw new Error(`NODE_RED_VERSION is ${name}; it can be 5 or 4.1`);
  return name as NodeRedVersion;
}

/** One object of a flow file. */
export type FlowNode = { id: string; type: string } & Record<string, unknown>;

export interface Start {
  /** Another one than `nodeRedVersion`: only for a test of several versions at the same time. */
  readonly version?: NodeRedVersion;
  /** Another line of Node.js than the version's. */
  readonly node?: NodeJsLine;
  readonly flows?: readonly FlowNode[];
  /** By node id, as the credentials file has them. */
  readonly credentials?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly env?: NodeJS.ProcessEnv;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** A directory that an earlier start left; its flows are used unless `flows` is given. Kept at stop. */
  readonly userDir?: string;
}

export interface Stopped {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly tookMs: number;
}

/** One thing that the runtime says to the editor. */
export interface Comms {
  readonly topic: string;
  readonly data: unknown;
}

/** A folder for each process of a test run, so that none takes away what another one uses. */
const scratch = path.join(root, '.test', process.env.TEST_PART ?? 'alone');
/**
 * Palette modules that some tests link into a user directory. Node-RED also finds them beside itself, and would load them at
 * each start, and their forms with each editor.
 */
const dependencies = [
  '@flowfuse/node-red-dashboard',
  '@node-red-contrib-themes/theme-collection',
  'node-red-node-email',
  'node-red-node-mysql',
];
/** What Node-RED logs as it starts, in English, German and Japanese (the setting `lang`). */
const startedFlows = /Started flows|Flows sind gestartet|フローを開始しました/;
const runningAt = /(?:now running at|Server wird jetzt auf|サーバは) (http:\S+)/;
const startMs = 60_000;
const killMs = 20_000;

let packing: Promise<Packed & { template: string }> | undefined;

/**
 * The package's tarball, and a user directory with it installed, made once for all tests of a process. It is
 * built first unless `npm test` has just done so.
 */
export function packedPackage(): Promise<Packed & { template: string }> {
  packing ??= makePackage();
  return packing;
}

async function makePackage(): Promise<Packed & { template: string }> {
  // `npm test` has made it, once for all of its processes.
  const made = process.env.PACKAGE_MADE;
  if (made !== undefined) return JSON.parse(await readFile(made, 'utf8'));
  const { pack, installedTemplate } = await import('../../scripts/user-dir.mjs');
  if (process.env.PACKAGE_BUILT === undefined) {
    await promisify(execFile)(nodeBinary, [path.join(root, 'scripts', 'build.mjs')]);
  }
  await mkdir(scratch, { recursive: true });
  const packed = await pack(path.join(scratch, 'pack'));
  await dropOldTemplates(packed.hash);
  const { template, how } = await installedTemplate(scratch, packed);
  if (how === 'linked')
    console.log('      no registry answered: the tarball was unpacked, its dependencies linked');
  return { ...packed, template };
}

async function dropOldTemplates(hash: string): Promise<void> {
  for (const name of await readdir(scratch)) {
    if (name.startsWith('user-dir-') && !name.startsWith(`user-dir-${hash}`)) {
      await rm(path.join(scratch, name), { recursive: true, force: true });
    }
  }
}

/** A running Node-RED. `stop()` it in the end, whatever happened. */
export class NodeRed {
  private log = '';

  private constructor(
    private readonly child: ChildProcess,
    readonly version: NodeRedVersion,
    readonly userDir: string,
    private readonly keepUserDir: boolean,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.log += chunk));
    }
  }

  /** Resolves once flows have started and the admin API answers. */
  static async start(start: Start = {}): Promise<NodeRed> {
    const version = start.version ?? nodeRedVersion;
    const userDir = start.userDir ?? (await freshUserDir());
    await writeUserFiles(userDir, start);
    const settings = path.join(userDir, 'settings.js');
    const args = [versions[version].program, '--userDir', userDir, '--settings', settings];
    const child = spawn(await nodeJs(start.node ?? versions[version].node), args, {
      cwd: userDir,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '', LANG: 'en_US.UTF-8', LC_ALL: '', ...start.env },
    });
    const nodeRed = new NodeRed(child, version, userDir, start.userDir !== undefined);
    try {
      await nodeRed.logged(startedFlows, startMs);
      await nodeRed.logged(runningAt, startMs);
    } catch (error) {
      await nodeRed.stop();
      throw error;
    }
    return nodeRed;
  }

  /** Everything that it printed so far. */
  get output(): string {
    return this.log;
  }

  /** Where the editor is, with a slash at the end. */
  get url(): string {
    const url = runningAt.exec(this.log)?.[1];
    if (url === undefined) throw new Error('Node-RED has not said where it runs.');
    return url;
  }

  /** Resolves when the log holds `pattern`; rejects with the log when it does not in time, or when it ended. */
  async logged(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    await until(
      () => pattern.test(this.log) || this.ended,
      timeoutMs,
      () => `${String(pattern)} in:\n${this.log}`,
    );
    if (!pattern.test(this.log))
      throw new Error(`Node-RED ended before it said ${String(pattern)}:\n${this.log}`);
  }

  get pid(): number {
    return this.child.pid!;
  }

  fetch(where: string, init?: RequestInit): Promise<Response> {
    return fetch(new URL(where, this.url), init);
  }

  /** The text of an admin or flow route; anything but a 2xx is an error. */
  async text(where: string, init?: RequestInit): Promise<string> {
    const response = await this.fetch(where, init);
    const body = await response.text();
    if (!response.ok) throw new Error(`${init?.method ?? 'GET'} ${where}: ${response.status}\n${body}`);
    return body;
  }

  async json(where: string, init?: RequestInit): Promise<any> {
    const headers = { accept: 'application/json', ...(init?.headers as Record<string, string> | undefined) };
    return JSON.parse(await this.text(where, { ...init, headers }));
  }

  /** Sends JSON and gives the status and the parsed reply. */
  async post(
    where: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: any }> {
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
    const response = await this.fetch(where, { ...init, body: JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : parsed(text) };
  }

  /** Presses the button of an inject node, which sends its own payload or another one. */
  async inject(id: string, payload?: unknown): Promise<void> {
    const props = [{ p: 'payload', v: JSON.stringify(payload), vt: 'json' }];
    const body = JSON.stringify({ __user_inject_props__: props });
    const headers = { 'content-type': 'application/json' };
    const init = payload === undefined ? { method: 'POST' } : { method: 'POST', headers, body };
    await this.text(`inject/${id}`, init);
  }

  /** Deploys; a node's `credentials` property is taken as the editor sends it. Resolves when flows have started. */
  async deploy(flows: readonly FlowNode[], type: 'full' | 'nodes' | 'flows' = 'full'): Promise<void> {
    const headers = { 'Node-RED-API-Version': 'v2', 'Node-RED-Deployment-Type': type };
    await this.deployedBy(async () => {
      const reply = await this.post('flows', { flows }, headers);
      if (reply.status !== 200) throw new Error(`The deploy was refused: ${JSON.stringify(reply)}`);
    });
  }

  /** Deploys with `act`. Node-RED answers when nodes have stopped; this resolves when the new ones have started. */
  async deployedBy(act: () => Promise<unknown>): Promise<void> {
    const started = (): number => this.log.split(/Started (?:modified )?(?:flows|nodes)/).length;
    const before = started();
    await act();
    await until(
      () => started() > before,
      30_000,
      () => `a started flow in:\n${this.log}`,
    );
  }

  /** What the editor would be told from now on: statuses, debug messages, notifications. */
  async comms(): Promise<CommsLog> {
    return CommsLog.open(new URL('comms', this.url));
  }

  /** Puts its process to sleep, or wakes it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(signal);
  }

  /**
   * Asks it to end (SIGTERM) and waits. One that does not end in 20 s is killed, which is an error. The user
   * directory is deleted unless the caller brought it.
   */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Stopped> {
    const started = performance.now();
    if (!this.ended) {
      const exited = once(this.child, 'exit');
      this.child.kill(signal);
      const inTime = await Promise.race([exited.then(() => true), sleep(killMs, false, { ref: false })]);
      if (!inTime) {
        this.child.kill('SIGKILL');
        await exited;
        throw new Error(`Node-RED did not end within ${killMs / 1000} s of ${signal}:\n${this.log}`);
      }
    }
    if (!this.keepUserDir) await rm(this.userDir, { recursive: true, force: true, maxRetries: 3 });
    return { code: this.child.exitCode, signal: this.child.signalCode, tookMs: performance.now() - started };
  }

  private get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }
}

/** The editor's web socket: collects what arrives. */
export class CommsLog {
  readonly received: Comms[] = [];

  private constructor(private readonly socket: WebSocket) {
    socket.addEventListener('message', (event) => {
      const said = JSON.parse(String(event.data)) as Comms | Comms[];
      this.received.push(...(Array.isArray(said) ? said : [said]));
    });
  }

  static async open(where: URL): Promise<CommsLog> {
    where.protocol = 'ws:';
    const socket = new WebSocket(where);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error(`No web socket at ${where.href}`)));
    });
    const log = new CommsLog(socket);
    for (const topic of ['status/#', 'debug', 'notification/#'])
      socket.send(JSON.stringify({ subscribe: topic }));
    return log;
  }

  /** What arrived on a topic: `debug`, or `status/ID`. */
  on(topic: string): any[] {
    return this.received.filter((said) => said.topic === topic).map((said) => said.data);
  }

  close(): void {
    this.socket.close();
  }
}

/** Waits until `condition` holds, looking every 50 ms; the error says in vain for what. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: string | (() => string),
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end)
      throw new Error(`Waited ${timeoutMs / 1000} s in vain for ${typeof what === 'string' ? what : what()}`);
    await sleep(50);
  }
}

async function freshUserDir(): Promise<string> {
  const { template } = await packedPackage();
  const { likeTemplate } = await import('../../scripts/user-dir.mjs');
  await mkdir(path.join(scratch, 'run'), { recursive: true });
  const userDir = await mkdtemp(path.join(scratch, 'run', 'node-red-'));
  await likeTemplate(template, userDir);
  return userDir;
}

async function writeUserFiles(userDir: string, start: Start): Promise<void> {
  const { settingsFile } = await import('../../scripts/user-dir.mjs');
  const isLinked = (name: string): boolean => existsSync(path.join(userDir, 'node_modules', name));
  const denyList = dependencies.filter((name) => !isLinked(name));
  // Where modules may be installed, each start asks npm for its version, with a process of its own.
  const externalModules = { palette: { denyList, allowInstall: false } };
  const settings = settingsFile({ uiPort: 0, credentialSecret: false, externalModules, ...start.settings });
  await writeFile(path.join(userDir, 'settings.js'), settings);
  if (start.flows) await writeFile(path.join(userDir, 'flows.json'), JSON.stringify(start.flows));
  if (start.credentials)
    await writeFile(path.join(userDir, 'flows_cred.json'), JSON.stringify(start.credentials));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
