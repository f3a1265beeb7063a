// A real Node-RED 5 with the package in it, driven through the agent.
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { operations } from '../workers/agent';
import { credentials, type FlowNode } from './flows';
import { profiling, startProcess, type Worker, type WorkerStart } from './worker';
import { root, type Workspace } from './workspace';

export type NodeRed = Worker<typeof operations>;

const startMs = 60_000;

export function newUserDir({ folder }: Workspace): Promise<string> {
  return mkdtemp(path.join(folder, 'user-dir-'));
}

/** Resolves when its flow has started. */
export async function startNodeRed(
  workspace: Workspace,
  name: string,
  flow: readonly FlowNode[],
  start: WorkerStart = {},
  inDir?: string,
): Promise<NodeRed> {
  const { settingsFile } = await import('../../scripts/user-dir.mjs');
  const userDir = inDir ?? (await newUserDir(workspace));
  const scope = path.join(userDir, 'node_modules', '@instant-audience');
  await mkdir(scope, { recursive: true });
  await symlink(workspace.packageFolder, path.join(scope, 'node-red-xandr'), 'junction');
  const manifest = {
    name: 'bench',
    version: '0.0.1',
    dependencies: { '@instant-audience/node-red-xandr': '*' },
  };
  const agent = JSON.stringify(path.join(workspace.workers, 'agent.js'));
  const settings = settingsFile({ uiPort: 0, credentialSecret: 'bench' });
  const files = {
    'package.json': JSON.stringify(manifest),
    'settings.js': `${settings}module.exports.functionGlobalContext = { bench: require(${agent}).forFlow };\n`,
    'flows.json': JSON.stringify(flow),
    'flows_cred.json': JSON.stringify(credentials),
  };
  for (const [file, text] of Object.entries(files)) await writeFile(path.join(userDir, file), text);
  const nodeRed = startProcess<typeof operations>(
    name,
    path.join(root, 'node_modules', 'node-red', 'red.js'),
    ['--userDir', userDir, '--settings', path.join(userDir, 'settings.js')],
    {},
    { ...start, nodeArgs: [...profiling(name), ...(start.nodeArgs ?? [])] },
  );
  const timeoutMs = performance.now() + startMs;
  while (!nodeRed.output.includes('Started flows') || !(await nodeRed.call('ready'))) {
    if (nodeRed.ended || performance.now() > timeoutMs)
      throw new Error(`Node-RED did not start:\n${nodeRed.output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return nodeRed;
}
