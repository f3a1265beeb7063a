// The documented metrics and the dashboard speak of what there is, and of all of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { prometheusText } from '../../nodes/sidebar/metrics';

const docs = path.join(__dirname, '..', '..', 'docs');
const names = [...prometheusText([], []).matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, kind]) => ({
  name: name!,
  kind: kind!,
}));

describe('the metrics', () => {
  it('are all documented with their kind, and no other is', () => {
    const rows = readFileSync(path.join(docs, 'operations.md'), 'utf8').matchAll(
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
});
