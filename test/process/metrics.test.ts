// Metrics of a real Node-RED: the endpoint against the dashboard's expressions, and the events in the log.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { accountFlow, postUsers, tab } from '../browser/sidebar-flows';
import { NodeRed, until } from '../support/node-red';

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}
type Labels = Readonly<Record<string, string>>;

const docs = path.join(__dirname, '..', '..', 'docs');
const metricsPage = readFileSync(path.join(docs, 'internals', 'metrics.md'), 'utf8');
/** Only where several Node-RED instances share a queue: test/nodes/shared-queue.test.ts sees those. */
const ofSharedQueues = [...metricsPage.matchAll(/^\| `(\w+)` .*\| shared queue only: /gm)].map(
  ([, name]) => name!,
);
const flows = [tab, ...accountFlow('shop'), ...accountFlow('loyalty', {}, 1)];
/** One good entry, one that is refused at the door. */
const entries = [
  { user_id: '4711', seg_block: [{ seg_id: 10001 }] },
  { user_id: '0', seg_block: [{ seg_id: 10001 }] },
];
const logging = (metrics: boolean): Record<string, unknown> => ({
  logging: { console: { level: 'info', metrics } },
});

describe('the metrics of a Node-RED', function () {
  this.timeout(60_000);
  let asked: NodeRed | undefined;
  let silent: NodeRed | undefined;

  before(async () => {
    const settings = { ...logging(true), instantAudience: { metrics: true } };
    [asked, silent] = await Promise.all([
      NodeRed.start({ flows, settings }),
      NodeRed.start({ flows, settings: logging(false) }),
    ]);
    for (const nodeRed of [asked, silent]) {
      await nodeRed.post('shop', entries);
      await postUsers(nodeRed, 'loyalty', 0, 5);
    }
  });
  after(async () => {
    await asked?.stop();
    await silent?.stop();
  });

  it('has at its endpoint every metric, label and value that the dashboard asks for', async () => {
    let samples: { name: string; labels: Labels; value: number }[] = [];
    await until(
      async () => {
        samples = parsed(await asked!.text('instant-audience/metrics'));
        const ended = samples.find(
          ({ name, labels }) => name.includes('_ended_') && labels.end === 'accepted',
        );
        return ended?.value === 6;
      },
      10_000,
      () => `6 entries accepted in ${JSON.stringify(samples)}`,
    );
    const { headers } = await asked!.fetch('instant-audience/metrics');
    const type = headers.get('content-type') ?? '';
    assert.match(type, /^text\/plain;(?=.*version=0\.0\.4).*charset=utf-8/);
    const named = (name: string): Labels[] =>
      samples.filter((sample) => sample.name === name).map(({ labels }) => labels);
    let selectors = 0;
    for (const { expr, legendFormat } of targets()) {
      const metrics = [...expr.matchAll(/(instant_audience_\w+)\{([^}]*)\}/g)];
      assert.ok(metrics.length > 0, expr);
      for (const [, name, matchers] of metrics) {
        selectors += 1;
        const found = named(name!);
        if (ofSharedQueues.includes(name!)) continue;
        assert.ok(found.length > 0, `${name} of ${expr}`);
        const wanted = [
          ...[...matchers!.matchAll(/(\w+)\s*=/g)].map(([, label]) => label!),
          ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/, */)),
          ...[...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!),
        ];
        assert.ok(wanted.includes('account'), expr);
        for (const labels of found)
          for (const label of wanted) assert.ok(label in labels, `${label} of ${name} in ${expr}`);
      }
    }
    assert.ok(selectors > 15, `${selectors} selectors`);
    const accounts = new Set(samples.map(({ labels }) => labels.account));
    assert.equal(accounts.size, 1, 'they share the sandbox’s queue');
  });

  it('logs the documented events of each account every ten seconds, and none if switched off', async () => {
    const events = (nodeRed: NodeRed): { nodeid: string; event: string; value: number; msgid?: unknown }[] =>
      [...nodeRed.output.matchAll(/\[metric\] (\{.*\})/g)]
        .map(([, json]) => JSON.parse(json!))
        // Node-RED itself logs events of every message that a node takes.
        .filter(({ event }) => event.startsWith('node.xandr-account.'));
    const documented = [...metricsPage.matchAll(/^\| `(node\.xandr-[\w.-]+)`/gm)].map(([, event]) => event!);
    assert.equal(documented.length, 6);
    await until(
      () => events(asked!).length >= 12,
      15_000,
      () => `two accounts’ events in ${asked!.output.slice(-2000)}`,
    );
    const first = events(asked!).slice(0, 12);
    for (const account of ['account-shop', 'account-loyalty']) {
      const own = first.filter(({ nodeid }) => nodeid === account);
      assert.deepEqual(own.map(({ event }) => event).sort(), [...documented].sort(), account);
      const values = Object.fromEntries(own.map(({ event, value }) => [event.split('.').at(-1)!, value]));
      // In the units of the table: entries, users, seconds, and 0 or 1.
      assert.deepEqual(values, { queue: 0, rate: 0, accepted: 6, rejected: 0, oldest: 0, late: 0 });
    }
    // It started at the same time.
    assert.deepEqual(events(silent!), []);
  });
});

function targets(): Target[] {
  const text = readFileSync(path.join(docs, 'grafana-dashboard.json'), 'utf8');
  return (JSON.parse(text) as { panels: { targets: Target[] }[] }).panels.flatMap((panel) => panel.targets);
}

function parsed(text: string): { name: string; labels: Labels; value: number }[] {
  return [...text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)].map(([, name, list, value]) => ({
    name: name!,
    labels: Object.fromEntries([...list!.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, of]) => [label!, of!])),
    value: Number(value),
  }));
}
