// Examples as files: valid and complete, and all of them together in both versions of Node-RED.
import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { nodeRedVersion, packedPackage, type FlowNode } from '../support/node-red';
import { exampleNames, ExampleSite, nodeOf, readExample } from './support';

/** Properties that hold node ids on purpose. */
const references = new Set([
  'id',
  'z',
  'account',
  'wires',
  'links',
  'broker',
  'mydb',
  'scope',
  'group',
  'page',
  'ui',
  'theme',
  'g',
  'nodes',
]);
/** What the examples need besides Node-RED's own nodes, as their comments say. */
const modules = ['amqplib', '@flowfuse/node-red-dashboard', 'node-red-node-email', 'node-red-node-mysql'];
const ourTypes = [
  'xandr-account',
  'xandr-segment-builder',
  'xandr-instant-audience-out',
  'xandr-audience-usage',
  'xandr-audience-sync',
];
const configTypes = new Set([
  'xandr-account',
  'mqtt-broker',
  'MySQLdatabase',
  'ui-group',
  'ui-page',
  'ui-base',
  'ui-theme',
]);

/** What no node of Node-RED does yet: pages of a file, and acknowledgements. */
const longFunctions = new Set(['amqp to audience', 'file to audience']);

describe('the examples', function () {
  this.timeout(180_000);

  it('are those that the menu is to have', () => {
    assert.deepEqual(exampleNames, [
      'alarm by mail',
      'amqp to audience',
      'de-target buyers',
      'file to audience',
      'keep a segment (CSV)',
      'keep a segment (MariaDB)',
      'keep a segment (PostgreSQL)',
      'mqtt to audience',
      'quick start',
      'rejected to file and back',
      'scores to values',
      'two instances',
      'watch it',
      'webhook to audience',
      'what became of it',
    ]);
  });

  for (const name of exampleNames) {
    const flow = readExample(name);
    const byId = new Map(flow.map((node) => [node.id, node]));

    it(`“${name}” has unique ids, and refers only to nodes that it has`, () => {
      assert.equal(byId.size, flow.length);
      for (const node of flow) {
        assert.match(node.id, /^[0-9a-f]{16}$/);
        for (const id of referencesOf(node)) assert.ok(byId.has(id), `${node.type} refers to ${id}`);
        for (const [key, value] of Object.entries(node))
          if (!references.has(key)) assert.ok(!byId.has(String(value)), `${node.type}.${key} is a node's id`);
      }
    });

    it(`“${name}” has its nodes on one tab, and none on top of another`, () => {
      const tab = nodeOf(flow, 'tab');
      const onTab = flow.filter((node) => node.type !== 'tab' && !configTypes.has(node.type));
      for (const node of onTab) assert.equal(node.z, tab.id, `${node.type} ${String(node.name)}`);
      for (const node of flow) if (!onTab.includes(node)) assert.ok(!('x' in node), node.type);
      const places = onTab
        .filter(({ type }) => type !== 'group')
        .map(({ x, y }) => `${String(x)},${String(y)}`);
      assert.equal(new Set(places).size, places.length);
      assert.equal(tab.label, name);
    });

    it(`“${name}” is for practice, and says what to change for production`, () => {
      const text = flow
        .filter(({ type }) => type === 'comment' || type === 'tab')
        .flatMap(({ name: title, info }) => [title, info])
        .join('\n');
      assert.match(text, /for production/i);
      for (const account of flow.filter(({ type }) => type === 'xandr-account')) {
        assert.notEqual(account.environment, 'production');
        if (account.environment === 'custom')
          assert.match(String(account.serviceUrl), /^http:\/\/127\.0\.0\.1:/);
      }
      for (const { libs } of flow as { libs?: { module: string }[] }[])
        for (const { module } of libs ?? [])
          if (module !== 'fs') assert.ok(text.includes(module), `a comment names ${module}`);
      if (flow.some(({ type }) => type.startsWith('ui-')))
        assert.match(text, /@flowfuse\/node-red-dashboard/);
      if (flow.some(({ type }) => type === 'e-mail')) assert.match(text, /node-red-node-email/);
      if (flow.some(({ type }) => type === 'mysql')) assert.match(text, /node-red-node-mysql/);
    });

    it(`“${name}” is small: a group with a title, one comment, 12 nodes, functions of five lines`, () => {
      const byType = (type: string): FlowNode[] => flow.filter((node) => node.type === type);
      const nodes = flow.filter((node) => 'x' in node && node.type !== 'group' && node.type !== 'comment');
      assert.ok(nodes.length <= 12, `${nodes.length} nodes`);
      assert.equal(byType('comment').length, 1);
      const [group, ...others] = byType('group');
      assert.ok(group!.name);
      assert.deepEqual(others, []);
      assert.deepEqual(new Set(group!.nodes as string[]), new Set(nodes.map(({ id }) => id)));
      for (const node of nodes) assert.equal(node.g, group!.id);
      if (longFunctions.has(name)) return;
      for (const { name: label, func } of byType('function') as unknown as { name: string; func: string }[])
        assert.ok(func.split('\n').length <= 5, `${label} has ${func.split('\n').length} lines`);
    });

    it(`“${name}” saves of our nodes what differs from the editor's defaults, and nothing else`, async () => {
      for (const type of ourTypes) {
        const defaults = await defaultsOf(type);
        for (const node of flow.filter((each) => each.type === type)) {
          const own = ['id', 'type', 'z', 'g', 'x', 'y', 'wires', 'credentials'];
          for (const [key, value] of Object.entries(node).filter(([each]) => !own.includes(each))) {
            assert.ok(key in defaults, `${type}.${key}`);
            assert.notDeepEqual(value, defaults[key]!.value, `${type}.${key}`);
          }
        }
      }
    });
  }

  it(`start together in Node-RED ${nodeRedVersion}, each node of a type that is known`, async () => {
    const all = exampleNames.flatMap(readExample);
    leaveAlone(all);
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length, 'ids are unique among the examples');
    const env = { AUDIENCE_DATABASE_URL: 'postgres://practice@127.0.0.1:9/practice' };
    const site = await ExampleSite.start(all, { modules, env });
    try {
      assert.doesNotMatch(site.log, /Waiting for missing types|unknown:|missing types/i);
      // The services that they would be fed from are not there for this test, which their nodes may say.
      const ours = site.log
        .split('\n')
        .filter((line) => /\[(error|fatal)\].*(instant-audience|function)/.test(line));
      assert.deepEqual(ours, []);
    } finally {
      await site.close();
    }
  });
});

/** No service is there for them: what runs on this machine is not theirs to use here. */
function leaveAlone(flow: readonly FlowNode[]): void {
  for (const node of flow) {
    if (node.type === 'mqtt-broker' || node.type === 'MySQLdatabase') node.port = 9;
    const variables = (node.env ?? []) as { name: string; value: string }[];
    for (const each of variables)
      if (each.name.endsWith('_URL')) each.value = each.value.replace(/:\d+(?=\/|$)/, ':9');
  }
}

function referencesOf(node: FlowNode): string[] {
  const lists = [
    ...((node.wires as string[][] | undefined) ?? []),
    node.nodes ?? [],
    node.links ?? [],
    node.scope ?? [],
  ] as string[][];
  const single = [
    node.z,
    node.g,
    node.account,
    node.broker,
    node.mydb,
    node.group,
    node.page,
    node.ui,
    node.theme,
  ];
  return [
    ...lists.flat(),
    ...single.filter((id) => id !== undefined && node.type !== 'mqtt-broker'),
  ] as string[];
}

/** The `defaults` of the definition that the editor script registers, found by running it. */
async function defaultsOf(type: string): Promise<Record<string, { value: unknown }>> {
  const { template } = await packedPackage();
  const name = type.replace('xandr-', '');
  const folder = path.join(
    template,
    'node_modules',
    '@instant-audience',
    'node-red-xandr',
    'dist',
    'nodes',
    name,
  );
  const html = await readFile(path.join(folder, `${name}.html`), 'utf8');
  const script = /<script type="text\/javascript">([\s\S]*?)<\/script>/.exec(html)![1]!;
  let defaults: Record<string, { value: unknown }> = {};
  const RED = {
    nodes: { registerType: (_type: string, definition: any) => (defaults = definition.defaults) },
  };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- our own script, as the editor runs it
  new Function('RED', '$', 'window', script)(RED, () => undefined, {});
  return defaults;
}
