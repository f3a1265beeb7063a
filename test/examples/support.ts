// An example as the editor imports it, in a real Node-RED with the packed package, and the sandbox that it fills.
import { strict as assert } from 'node:assert';
import { appendFileSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Membership } from '../../src/sandbox/sandbox';
import { NodeRed, packedPackage, until, type CommsLog, type FlowNode } from '../support/node-red';

const root = path.join(__dirname, '..', '..');
const folder = path.join(root, 'examples');
/** A status is renewed once a second. */
const statusMs = 1_100;

/** All examples, as the menu names them. */
export const exampleNames: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => path.basename(file, '.json'))
  .sort();

/** The nodes of an example, fresh for each caller. */
export function readExample(name: string): FlowNode[] {
  return JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as FlowNode[];
}

/** The one node of a type, or of a type and name. */
export function nodeOf(flow: readonly FlowNode[], type: string, name?: string): FlowNode {
  const found = flow.filter((node) => node.type === type && (name === undefined || node.name === name));
  assert.equal(found.length, 1, `one ${type} ${name ?? ''} in the example`);
  return found[0]!;
}

/** Sets a variable of the example's tab, as a person does who double-clicks it. */
export function setVariable(flow: readonly FlowNode[], name: string, value: string): void {
  const variables = nodeOf(flow, 'tab').env as { name: string; value: string }[];
  const variable = variables.find((each) => each.name === name);
  assert.ok(variable, `the tab has ${name}`);
  variable.value = value;
}

/** Lets an account work with a sandbox that runs on its own; any login will do. */
export function useSandboxAt(account: FlowNode, url: string, limits: Record<string, number> = {}): void {
  Object.assign(account, {
    environment: 'custom',
    authUrl: url,
    serviceUrl: url,
    member: account.member ?? '1',
    credentials: { username: 'jane', password: 'secret' },
    ...limits,
  });
}

/** A button before a node of the example, for payloads of the test. */
export function feeder({ id, z }: FlowNode): FlowNode {
  return { id: 'feeder', type: 'inject', z, props: [{ p: 'payload' }], x: 0, y: 0, wires: [[id]] };
}

export interface SiteOptions {
  /** Palette nodes and modules of functions that the example names; linked from this repository. */
  readonly modules?: readonly string[];
  /** Variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A Node-RED for examples, in a user directory that outlives it: killed and started again. `close()` it in the end. */
export class ExampleSite {
  private nodeRed: NodeRed | null = null;
  private logs = '';

  private constructor(
    readonly userDir: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** Starts Node-RED and deploys the flow, as importing it does. */
  static async start(flow: readonly FlowNode[], options: SiteOptions = {}): Promise<ExampleSite> {
    const { template } = await packedPackage();
    const { likeTemplate } = await import('../../scripts/user-dir.mjs');
    const runs = path.join(path.dirname(template), 'run');
    await mkdir(runs, { recursive: true });
    const userDir = await mkdtemp(path.join(runs, 'example-'));
    await likeTemplate(template, userDir);
    const site = new ExampleSite(userDir, options.env ?? {});
    try {
      await linkModules(userDir, options.modules ?? []);
      await site.startAgain();
      await site.running.deploy(flow);
    } catch (error) {
      await site.close();
      throw error;
    }
    return site;
  }

  get running(): NodeRed {
    if (this.nodeRed === null) throw new Error('Node-RED does not run.');
    return this.nodeRed;
  }

  /** What all of its Node-REDs printed so far. */
  get log(): string {
    return this.logs + (this.nodeRed?.output ?? '');
  }

  /** Starts a Node-RED that was stopped, with what was deployed before. */
  async startAgain(): Promise<void> {
    const { userDir, env } = this;
    this.nodeRed = await NodeRed.start({ userDir, env });
  }

  /** kill −9. */
  async kill(): Promise<void> {
    const { running } = this;
    const { signal } = await running.stop('SIGKILL');
    this.logs += running.output;
    this.nodeRed = null;
    assert.equal(signal, 'SIGKILL', 'it ran until it was killed');
  }

  /** Resolves when the out node says that nothing waits; what was taken before the call is counted by then. */
  async delivered(out: FlowNode, timeoutMs: number): Promise<void> {
    await sleep(statusMs);
    const comms = await this.running.comms();
    const last = (): any => comms.on(`status/${out.id}`).at(-1);
    try {
      await until(
        () => last()?.fill === 'green',
        timeoutMs,
        () => `a green status instead of ${JSON.stringify(last())}`,
      );
    } finally {
      comms.close();
    }
  }

  /** Presses the button of an inject node, which sends its own payload or another one. */
  async press(button: FlowNode, payload?: unknown): Promise<void> {
    await this.running.inject(button.id, payload);
  }

  /** All memberships of the sandbox inside this Node-RED. */
  async sandboxState(): Promise<Membership[]> {
    const address = /Instant Audience Service listens on (http:\S+)/;
    await this.running.logged(address);
    const response = await fetch(`${address.exec(this.running.output)![1]!}/sandbox/state`);
    return (await response.json()) as Membership[];
  }

  /** Stops Node-RED and deletes its directory; fails when the log has something that should not be there. */
  async close(): Promise<void> {
    const { nodeRed } = this;
    this.nodeRed = null;
    try {
      if (nodeRed === null) return;
      const { code } = await nodeRed.stop();
      assert.equal(code, 0, `Node-RED ended with ${code}:\n${nodeRed.output}`);
      const unwanted = /\[fatal\]|uncaught|unhandled|Error stopping node|TypeError|ReferenceError/i;
      assert.doesNotMatch(this.logs + nodeRed.output, unwanted);
    } finally {
      await rm(this.userDir, { recursive: true, force: true, maxRetries: 3 });
    }
  }
}

/** As `npm install` in the user directory does, but without a registry. */
async function linkModules(userDir: string, modules: readonly string[]): Promise<void> {
  const file = path.join(userDir, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as { dependencies?: Record<string, string> };
  for (const module of modules) {
    const from = path.join(root, 'node_modules', module);
    const to = path.join(userDir, 'node_modules', module);
    await rm(to, { recursive: true, force: true });
    await mkdir(path.dirname(to), { recursive: true });
    await symlink(from, to, 'junction');
    const { version } = JSON.parse(await readFile(path.join(from, 'package.json'), 'utf8')) as {
      version: string;
    };
    manifest.dependencies = { ...manifest.dependencies, [module]: version };
  }
  await writeFile(file, JSON.stringify(manifest));
}

/** Who is in which segment, a line each and sorted: `10001 1ba9… 7`; the value only where there is one. */
export function lines(memberships: readonly Pick<Membership, 'segment' | 'user_id' | 'value'>[]): string[] {
  return memberships
    .map(({ segment, user_id, value }) => [segment, user_id, ...(value === null ? [] : [value])].join(' '))
    .sort();
}

/** Compares in a way that names what is missing and what is too much, the first few. */
export function assertLines(found: readonly string[], expected: Iterable<string>): void {
  const [have, want] = [new Set(found), new Set(expected)];
  const shown = (list: string[]): string => list.slice(0, 5).join(', ');
  const missing = without(want, have);
  const tooMuch = without(have, want);
  assert.ok(
    missing.length + tooMuch.length === 0,
    `${missing.length} missing: ${shown(missing)}; ${tooMuch.length} too many: ${shown(tooMuch)}`,
  );
}

function without(from: Set<string>, taken: Set<string>): string[] {
  return [...from].filter((each) => !taken.has(each));
}

/** Waits until the state is as expected, then compares, so that a failure says what is not. */
export async function settled(
  read: () => Promise<Membership[]>,
  expected: Iterable<string>,
  timeoutMs: number,
): Promise<Membership[]> {
  const want = [...expected].sort();
  let state: Membership[] = [];
  const equal = async (): Promise<boolean> => {
    state = await read();
    return state.length === want.length && lines(state).every((line, index) => line === want[index]);
  };
  await until(equal, timeoutMs, 'the expected state').catch(() => undefined);
  assertLines(lines(state), want);
  return state;
}

/** The device id of visitor n. */
export function device(n: number): string {
  return `1ba98a6c-d1a5-49ef-ad1c-${String(n).padStart(12, '0')}`;
}

/** A user comes into a segment, or goes. */
export interface Event {
  readonly user: string;
  readonly segment: number;
  readonly action: 'add' | 'remove';
}

/** Users come again, in other segments and to leave; the same in every run. */
export function someEvents(number: number, users: number): Event[] {
  return Array.from({ length: number }, (_, n) => ({
    user: device((n * 7_919) % users),
    segment: 10_001 + (n % 3),
    action: (n * 31) % 10 < 7 ? 'add' : 'remove',
  }));
}

/** The lines of `settled` after these. */
export function heldAfter(events: readonly Event[]): string[] {
  const held = new Map<string, boolean>();
  for (const { segment, user, action } of events) held.set(`${segment} ${user}`, action === 'add');
  return [...held].filter(([, isIn]) => isIn).map(([line]) => line);
}

/** What was said to a debug node so far. */
export function debugs(comms: CommsLog, name: string): any[] {
  return comms
    .on('debug')
    .filter((said) => said.name === name)
    .map((said) =>
      said.format?.startsWith('Object') || said.format?.startsWith('array') ? JSON.parse(said.msg) : said.msg,
    );
}

/** How often something was said to a debug node, which is quick however much it was. */
export function debugCount(comms: CommsLog, name: string): number {
  return comms.on('debug').filter((said) => said.name === name).length;
}

/** Does `work` for each, several at a time. */
export async function inParallel<T>(
  items: readonly T[],
  atATime: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}

/**
 * The line that each test prints: from where, how much went in, what is there, how long it took. With
 * EXAMPLES_REPORT, the name of a file, it is a row of a table there, too.
 */
export function report(
  example: string,
  source: string,
  eventsIn: string,
  stateOut: string,
  startedMs: number,
): void {
  const time = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  console.log(`      fed from ${source} · ${eventsIn} in · ${stateOut} · ${time}`);
  const file = process.env.EXAMPLES_REPORT;
  if (file !== undefined)
    appendFileSync(file, `| ${[example, source, eventsIn, stateOut, time].join(' | ')} |\n`);
}

/** 1234 as `1,234`. */
export function count(number: number, what: string): string {
  return `${number.toLocaleString('en-US')} ${what}`;
}
