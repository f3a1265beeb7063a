// A Node-RED that takes audience events over HTTP, in a user directory that outlives it: killed and started again.
import { strict as assert } from 'node:assert';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import {
  NodeRed,
  packedPackage,
  until,
  type FlowNode,
  type NodeRedVersion,
  type Start,
  type Stopped,
} from './node-red';

export interface SiteOptions {
  /** Another one than the run's, where several versions share a queue. */
  readonly version?: NodeRedVersion;
  readonly serviceUrl: string;
  /** The account's limits; the documented ones unless said. */
  readonly limits?: Limits;
  /** Shares its queue in this database with others. */
  readonly databaseUrl?: string;
  /** Among those, for people. */
  readonly name?: string;
  /** More nodes for its flow, on the tab `nodeIds.tab`. */
  readonly moreNodes?: readonly FlowNode[];
  /** Beside what is needed. */
  readonly settings?: Start['settings'];
  readonly env?: NodeJS.ProcessEnv;
}

export const documentedAccountLimits: Limits = {
  postsPerSecond: 100,
  usersPerSecond: 1000,
  maxConcurrent: 15,
};

/** Of the flow's nodes that a test changes or looks at. */
export const nodeIds = { tab: 'tab', account: 'account', input: 'in', out: 'out' } as const;
/** The out node's status is renewed once a second. */
const statusMs = 1_100;

/**
 * `POST events` takes entries and answers 202 once they are durably queued, 503 with the reason when they are not.
 * `GET ended` tells how many entries ended after their message.
 */
export function audienceFlow({
  serviceUrl,
  limits = documentedAccountLimits,
  databaseUrl,
}: SiteOptions): FlowNode[] {
  const inTab = (node: FlowNode, ...wires: string[][]): FlowNode => ({
    z: nodeIds.tab,
    x: 100,
    y: 100,
    ...node,
    wires,
  });
  const http = (id: string, method: string, url: string): FlowNode => ({ id, type: 'http in', method, url });
  return [
    { id: nodeIds.tab, type: 'tab', label: 'audience', disabled: false, info: '' },
    {
      id: nodeIds.account,
      type: 'xandr-account',
      name: 'test',
      environment: 'custom',
      authUrl: serviceUrl,
      serviceUrl,
      member: '1',
      authMethod: 'password',
      ...limits,
      queue: databaseUrl === undefined ? 'disk' : 'shared',
      databaseBy: 'url',
      warnAfterMinutes: 2,
    },
    inTab(http(nodeIds.input, 'post', '/events'), [nodeIds.out]),
    inTab(
      {
        id: nodeIds.out,
        type: 'xandr-instant-audience-out',
        name: '',
        account: nodeIds.account,
        input: 'payload',
        inputType: 'msg',
        completeOn: 'queued',
      },
      ['answer'],
      ['answer'],
    ),
    inTab({ id: 'answer', type: 'function', func: answerFunction, outputs: 1 }, ['response']),
    inTab({ id: 'caught', type: 'catch', scope: [nodeIds.out], uncaught: false }, ['refuse']),
    inTab({ id: 'refuse', type: 'function', func: refuseFunction, outputs: 1 }, ['response']),
    inTab({ id: 'response', type: 'http response', statusCode: '' }),
    inTab(http('ask', 'get', '/ended'), ['tell']),
    inTab({ id: 'tell', type: 'function', func: tellFunction, outputs: 1 }, ['response']),
  ];
}

// What has no response ended after its message: it is counted.
const answerFunction = `
  const { status, recovered, rejected = [] } = msg.audience;
  if (recovered) {
    const ended = global.get('ended') ?? { accepted: 0, rejected: 0 };
    if (status === 'rejected') ended.rejected += rejected.length;
    else ended.accepted += msg.payload.length;
    global.set('ended', ended);
    return null;
  }
  msg.statusCode = status === 'rejected' ? 400 : 202;
  msg.payload = status;
  return msg;`;
const refuseFunction = `
  if (!msg.res) return null;
  msg.statusCode = 503;
  msg.payload = msg.error.message;
  return msg;`;
const tellFunction = `
  msg.payload = global.get('ended') ?? { accepted: 0, rejected: 0 };
  return msg;`;

/** `close()` it in the end, whatever happened. */
export class AudienceSite {
  private nodeRed: NodeRed | null = null;
  private logs = '';

  private constructor(
    readonly userDir: string,
    private options: SiteOptions,
  ) {}

  /** A fresh user directory; nothing runs yet. */
  static async make(options: SiteOptions): Promise<AudienceSite> {
    const { template } = await packedPackage();
    const { likeTemplate } = await import('../../scripts/user-dir.mjs');
    const folder = path.join(path.dirname(template), 'run');
    await mkdir(folder, { recursive: true });
    const userDir = await mkdtemp(path.join(folder, 'process-'));
    await likeTemplate(template, userDir);
    return new AudienceSite(userDir, options);
  }

  /** Starts Node-RED; `changed` holds from now on. */
  async start(changed: Partial<SiteOptions> = {}): Promise<void> {
    this.options = { ...this.options, ...changed };
    const { version, databaseUrl, name, settings, env } = this.options;
    this.nodeRed = await NodeRed.start({
      ...(version !== undefined && { version }),
      userDir: this.userDir,
      flows: [...audienceFlow(this.options), ...(this.options.moreNodes ?? [])],
      credentials: {
        [nodeIds.account]: {
          username: 'jane',
          password: 'secret',
          ...(databaseUrl !== undefined && { databaseUrl }),
        },
      },
      ...(settings !== undefined && { settings }),
      env: { ...env, ...(name !== undefined && { INSTANCE_AUDIENCE_NAME: name }) },
    });
  }

  get running(): NodeRed {
    if (this.nodeRed === null) throw new Error('Node-RED does not run.');
    return this.nodeRed;
  }

  /** Where entries are posted to. */
  get eventsUrl(): string {
    return new URL('events', this.running.url).href;
  }

  /** What all of its Node-REDs printed so far. */
  get log(): string {
    return this.logs + (this.nodeRed?.output ?? '');
  }

  /** How many entries ended after their message, since Node-RED started. */
  ended(): Promise<{ accepted: number; rejected: number }> {
    return this.running.json('ended');
  }

  /** Resolves when the out node says that nothing waits; what was taken before the call is counted by then. */
  async delivered(timeoutMs: number): Promise<void> {
    await sleep(statusMs);
    const comms = await this.running.comms();
    const last = (): any => comms.on(`status/${nodeIds.out}`).at(-1);
    try {
      await until(
        () => last()?.fill === 'green',
        timeoutMs,
        () => `a green status instead of ${JSON.stringify(last())}; log:\n${this.log}`,
      );
    } finally {
      comms.close();
    }
  }

  /** Puts its process to sleep, or wakes it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.running.signal(signal);
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<Stopped> {
    const { running } = this;
    const stopped = await running.stop(signal);
    this.logs += running.output;
    this.nodeRed = null;
    return stopped;
  }

  /** How many entries wait in the queue's file. Only after a stop: a running Node-RED holds it for itself. */
  async queued(): Promise<number> {
    const folder = path.join(this.userDir, 'instant-audience');
    const [file, ...others] = (await readdir(folder)).filter((name) => name.endsWith('.sqlite'));
    assert.ok(file !== undefined && others.length === 0, 'one queue');
    const db = new DatabaseSync(path.join(folder, file));
    try {
      return Number(db.prepare('SELECT count(*) AS waiting FROM entry WHERE state = 0').get()!.waiting);
    } finally {
      db.close();
    }
  }

  /** Ends what runs and deletes the user directory. */
  async close(): Promise<void> {
    try {
      if (this.nodeRed !== null) await this.stop('SIGKILL');
    } finally {
      await rm(this.userDir, { recursive: true, force: true, maxRetries: 3 });
    }
  }
}

/** Nothing in the log says that an error got past everybody. */
export function assertNothingEscaped(log: string): void {
  assert.doesNotMatch(log, /unhandled|uncaught|\[fatal\]|Error stopping node|TypeError|ReferenceError/i);
}
