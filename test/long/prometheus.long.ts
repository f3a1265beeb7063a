// A real Prometheus reads the endpoint of a real Node-RED, and answers every expression of the dashboard.
import { strict as assert } from 'node:assert';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { accountFlow, deviceId, postUsers, tab } from '../browser/sidebar-flows';
import { count, tell } from '../process/measured';
import { NodeRed, until } from '../support/node-red';
import { findProgram, freePort } from '../support/services';

const fedSeconds = 30;
const perSecond = 50;

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const dashboard = JSON.parse(
  readFileSync(path.join(__dirname, '..', '..', 'docs', 'grafana-dashboard.json'), 'utf8'),
) as { readonly panels: readonly Panel[] };

describe('a Prometheus that reads the metrics', function () {
  this.timeout(180_000);
  let folder = '';
  let prometheus: ChildProcess | undefined;
  let address = '';
  let nodeRed: NodeRed | undefined;
  let sandbox: Sandbox | undefined;

  before(async function () {
    const program = findProgram('prometheus');
    if (program === null) {
      console.log('      no prometheus installed: this test is skipped');
      this.skip();
    }
    sandbox = await startSandbox({ member: 7 });
    sandbox.faults.set([{ kind: 'poison', userIds: [deviceId(3)] }]);
    const custom = { environment: 'custom', authUrl: sandbox.url, serviceUrl: sandbox.url, member: '7' };
    nodeRed = await NodeRed.start({
      flows: [tab, ...accountFlow('shop', custom)],
      credentials: { 'account-shop': { username: 'me', password: 'secret-word' } },
      settings: { instantAudience: { metrics: true } },
    });
    folder = await mkdtemp(path.join(tmpdir(), 'prometheus-'));
    const { host } = new URL(nodeRed.url);
    const scrape = { job_name: 'node-red', metrics_path: '/instant-audience/metrics' };
    const config = path.join(folder, 'prometheus.yml');
    // JSON is YAML.
    await writeFile(
      config,
      JSON.stringify({
        global: { scrape_interval: '1s' },
        scrape_configs: [{ ...scrape, static_configs: [{ targets: [host] }] }],
      }),
    );
    const port = await freePort();
    address = `http://127.0.0.1:${port}`;
    const options = [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`];
    prometheus = spawn(program, [...options, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });
    await until(
      async () => (await fetch(`${address}/-/ready`).catch(() => null))?.ok ?? false,
      20_000,
      'Prometheus is ready',
    );
  });
  after(async () => {
    prometheus?.kill();
    await nodeRed?.stop();
    await sandbox?.close();
    if (folder !== '') await rm(folder, { recursive: true, force: true });
  });

  async function answerTo(expr: string): Promise<readonly { readonly value: readonly [number, string] }[]> {
    const query = new URLSearchParams({ query: expr.replaceAll('$account', '.*') });
    const reply: any = await (await fetch(`${address}/api/v1/query?${query.toString()}`)).json();
    assert.equal(reply.status, 'success', `${expr}: ${reply.error}`);
    return reply.data.result;
  }

  it('finds nothing to complain about in them', async () => {
    const checked = execFile(findProgram('promtool')!, ['check', 'metrics']);
    let said = '';
    checked.stderr?.on('data', (text: string) => (said += text));
    checked.stdin?.end(await nodeRed!.text('instant-audience/metrics'));
    const [code] = await once(checked, 'exit');
    assert.deepEqual([code, said], [0, '']);
  });

  it('answers every expression of the dashboard with numbers', async () => {
    // A refused entry, one that is refused at the door, and an account that has something to do to the end.
    await nodeRed!.post('shop', [{ user_id: '0', seg_block: [{ seg_id: 1 }] }]);
    for (let second = 0; second < fedSeconds; second += 1) {
      await postUsers(nodeRed!, 'shop', second * perSecond, perSecond);
      await sleep(1_000);
    }
    let expressions = 0;
    for (const { title, targets = [] } of dashboard.panels) {
      for (const { expr } of targets) {
        // The queue is on disk: nobody shares it.
        if (title.startsWith('Shared queue')) continue;
        const answer = await answerTo(expr);
        assert.ok(answer.length > 0, `${title}: ${expr} finds nothing`);
        for (const { value } of answer) assert.ok(Number.isFinite(Number(value[1])), `${expr}: ${value[1]}`);
        expressions += 1;
      }
    }
    const [accepted] = await answerTo('instant_audience_entries_ended_total{end="accepted"}');
    const expected = fedSeconds * perSecond - 1;
    assert.ok(Math.abs(Number(accepted!.value[1]) - expected) <= perSecond, accepted!.value[1]);
    tell(count(expressions, 'expressions'), count(Number(accepted!.value[1]), 'entries accepted'));
  });
});
