// The admin routes of the account's form, without HTTP: what the tests of each of them need.
import assert from 'node:assert/strict';
import helper from 'node-red-node-test-helper';
import { AccountForms } from '../../nodes/account/forms/admin';
import { engines, sandbox as shared } from '../../nodes/account/process-wide';
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox';
import type { DatabaseTest, TestedDatabase } from '../../src/queue-postgres/postgres-test';
import type { Running } from '../service/loopback';
import { unload, useNodeRed, wordsOf } from './out-flow';

export const rightPassword = 's3cr3t-word';

/** Of one test. */
class Its {
  sandbox: Sandbox | null = null;
  server: Running | null = null;
  /** What the store was asked, and what it says. */
  asked: TestedDatabase[] = [];
  found!: DatabaseTest;
  forms!: AccountForms;

  async start(options: SandboxOptions = {}): Promise<string> {
    this.sandbox = await startSandbox({ users: { me: rightPassword }, member: 7, ...options });
    return this.sandbox.url;
  }
}

/** Call in a suite: the forms of a running Node-RED, and a sandbox and a server that end with each test. */
export function accountForms(): Its {
  const its = new Its();
  useNodeRed();
  beforeEach(() => {
    its.forms = new AccountForms((helper as any)._RED, engines, shared, (tested) => {
      its.asked.push(tested);
      return Promise.resolve(its.found);
    });
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await its.sandbox?.close();
    await its.server?.close();
    its.sandbox = its.server = null;
  });
  return its;
}

/** The nodes in a subflow, and one instance of it with this environment. */
export function inSubflow(nodes: readonly object[], env: readonly object[] = []): object[] {
  return [
    { id: 'sub', type: 'subflow', name: 'sub', in: [], out: [] },
    ...nodes.map((node) => ({ ...node, z: 'sub' })),
    { id: 'instance', z: 'flow', x: 0, y: 0, type: 'subflow:sub', env, wires: [] },
  ];
}

/** The sentence is there, and every placeholder has its value. */
export function checkWords({ result, params, problem, steps = [] }: any): void {
  const words = wordsOf('account');
  for (const step of steps) {
    assert.ok(words.testStep[step.step], step.step);
    if (step.level !== 'good') checkWords({ result: step.result, params: step.params });
  }
  if (problem !== undefined) {
    const [group, name] = problem.key.split('.');
    assert.ok(words[group][name], problem.key);
    return;
  }
  const sentence = result.split('.').reduce((group: any, key: string) => group?.[key], words.test);
  assert.ok(sentence, `no word for ${result}`);
  for (const [, name] of sentence.matchAll(/__(\w+?)__/g))
    assert.ok(params[name] !== undefined, `${result}: ${name}`);
}
