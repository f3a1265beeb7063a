// Documented metrics and dashboard: exactly the metrics that exist.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { prometheusText } from '../../nodes/sidebar/metrics';

const docs = path.join(__dirname, '..', '..', 'docs');
const names = [...prometheusText([], []).matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, kind]) => ({
  name: name!,
  kind: kind!,
}));

interface Dashboard {
  readonly id?: unknown;
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: { name: string; type: string; query: string; datasource?: unknown }[];
  };
  readonly panels: {
    id: number;
    title: string;
    type: string;
    datasource: unknown;
    gridPos: { x: number; y: number; w: number; h: number };
    targets: { refId: string; expr: string }[];
  }[];
}

describe('the metrics', () => {
  it('are all documented with their kind, and no other is', () => {
    const rows = readFileSync(path.join(docs, 'internals', 'metrics.md'), 'utf8').matchAll(
      /^\| `(instant_audience_\w+)` +\| (\w+) +\| (\S.*?) +\|/gm,
    );
    assert.deepEqual(
      [...rows].map(([, name, kind]) => ({ name, kind })).sort((a, b) => (a.name! < b.name! ? -1 : 1)),
      [...names].sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  });

  it('are all on the dashboard, and no other is', () => {
    const dashboard = JSON.parse(readFileSync(path.join(docs, 'grafana-dashboard.json'), 'utf8')) as {
      panels: { title: string; gridPos: { x: number; w: number }; targets: { expr: string }[] }[];
    };
    const used = new Set<string>();
    for (const { targets, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24);
      for (const { expr } of targets) {
        assert.equal(expr.split('(').length, expr.split(')').length, expr);
        assert.equal(expr.split('{').length, expr.split('}').length, expr);
        for (const [name] of expr.matchAll(/instant_audience_\w+/g)) used.add(name.replace(/_bucket$/, ''));
      }
    }
    assert.deepEqual([...used].sort(), names.map(({ name }) => name).sort());
  });

  it('have a dashboard that Grafana can import', () => {
    const dashboard = JSON.parse(
      readFileSync(path.join(docs, 'grafana-dashboard.json'), 'utf8'),
    ) as Dashboard;
    assert.match(dashboard.uid, /^[\w-]{1,40}$/);
    assert.ok(dashboard.title !== '' && Number.isInteger(dashboard.schemaVersion));
    assert.ok(dashboard.schemaVersion >= 36, 'since then a data source is an object of type and uid');
    // The number that another Grafana gave it would be taken for one of the importing one.
    assert.equal(dashboard.id, undefined);
    const { list } = dashboard.templating;
    const source = list.find(({ type }) => type === 'datasource')!;
    assert.equal(source.query, 'prometheus');
    const own = { type: 'prometheus', uid: `\${${source.name}}` };
    const variables = list.filter(({ type }) => type === 'query');
    for (const variable of variables) {
      assert.deepEqual(variable.datasource, own);
      const [, metric] = /^label_values\((\w+), account\)$/.exec(variable.query)!;
      assert.ok(
        names.some(({ name }) => name === metric),
        metric,
      );
    }
    const { panels } = dashboard;
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    for (const { title, type, datasource, targets } of panels) {
      assert.ok(['stat', 'timeseries'].includes(type), title);
      assert.deepEqual(datasource, own, title);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
      const asked = targets.flatMap(({ expr }) => [...expr.matchAll(/\$(\w+)/g)].map(([, name]) => name));
      assert.ok(asked.length > 0, title);
      for (const name of asked)
        assert.ok(
          list.some((variable) => variable.name === name),
          `$${name}`,
        );
    }
    panels.forEach(({ gridPos: a, title }, at) => {
      for (const { gridPos: b } of panels.slice(at + 1)) {
        const separate = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        assert.ok(separate, title);
      }
    });
  });
});
