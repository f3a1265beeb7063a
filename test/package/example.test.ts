// The example as a file: sound without a Node-RED, and complete in what it saves.
import { strict as assert } from 'node:assert';
import { packedPackage } from '../support/node-red';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { manifest, quickStart, types } from './support';

const flow = quickStart();
const byId = new Map(flow.map((node) => [node.id, node]));

/** Properties that hold node ids on purpose. */
const references = new Set(['id', 'z', 'account', 'wires', 'links']);

describe('the quick-start example', function () {
  this.timeout(180_000);

  it('has unique ids of 16 hex digits', () => {
    assert.equal(byId.size, flow.length);
    for (const { id } of flow) assert.match(id, /^[0-9a-f]{16}$/);
  });

  it('refers only to nodes that it has, and holds no node’s id by accident', () => {
    for (const node of flow) {
      const wires = (node.wires as string[][] | undefined) ?? [];
      for (const id of [...wires.flat(), ...((node.links as string[] | undefined) ?? [])])
        assert.ok(byId.has(id), id);
      if (node.account !== undefined) assert.equal(byId.get(node.account as string)?.type, 'xandr-account');
      for (const [key, value] of Object.entries(node)) {
        if (!references.has(key)) assert.ok(!byId.has(String(value)), `${node.type}.${key} is a node's id`);
      }
    }
  });

  it('places its nodes on the tab, and its account on none', () => {
    const tab = flow.find((node) => node.type === 'tab')!;
    for (const node of flow) {
      if (node.type === 'tab') continue;
      const isConfig = node.type === 'xandr-account';
      assert.equal('x' in node || 'y' in node || 'z' in node, !isConfig, node.type);
      if (!isConfig) assert.equal(node.z, tab.id);
    }
  });

  it('saves every property that the editor gives our nodes, and no other', async () => {
    const { template } = await packedPackage();
    // The usage node has an example of its own.
    for (const type of types.filter((one) => one !== 'xandr-audience-usage')) {
      const file = path.join(template, 'node_modules', manifest.name, manifest['node-red'].nodes[type]!);
      const defaults = defaultsOf(await readFile(file.replace(/\.js$/, '.html'), 'utf8'));
      const nodes = flow.filter((node) => node.type === type);
      assert.ok(nodes.length > 0, `no ${type} in the example`);
      for (const node of nodes) {
        const saved = Object.keys(node).filter(
          (key) => !['id', 'type', 'z', 'x', 'y', 'wires'].includes(key),
        );
        assert.deepEqual(saved.sort(), [...defaults].sort(), type);
      }
    }
  });
});

/** The names in `defaults` of the definition that the editor script registers, found by running it. */
function defaultsOf(html: string): string[] {
  const script = /<script type="text\/javascript">([\s\S]*?)<\/script>/.exec(html)![1]!;
  let defaults: Record<string, unknown> = {};
  const RED = {
    nodes: { registerType: (_type: string, definition: any) => (defaults = definition.defaults) },
  };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- our own script, as the editor runs it
  new Function('RED', '$', 'window', script)(RED, () => undefined, {});
  return Object.keys(defaults);
}
