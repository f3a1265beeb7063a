// What the tests of the packed package share.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { FlowNode } from '../support/node-red';

export const root = path.join(__dirname, '..', '..');

export const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
  bin: Record<string, string>;
  'node-red': { nodes: Record<string, string>; plugins?: Record<string, string> };
};

export const types: readonly string[] = Object.keys(manifest['node-red'].nodes);
export const plugins: readonly string[] = Object.keys(manifest['node-red'].plugins ?? {});

/** The example as the package has it. */
export function quickStart(): FlowNode[] {
  return readExample('quick start');
}

function readExample(name: string): FlowNode[] {
  return JSON.parse(readFileSync(path.join(root, 'examples', `${name}.json`), 'utf8')) as FlowNode[];
}
