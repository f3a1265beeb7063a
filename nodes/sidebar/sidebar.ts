// Runtime of the tab Audience, a Node-RED plugin: samples the last hour, serves the tab, and emits metrics.

import type { NodeAPI } from 'node-red';
import { printable } from '../../src/entry/index';
import { sampleEveryMs } from '../../src/delivery/index';
import { segmentWatches } from '../instant-audience-out/segment-watch';
import type { Account } from '../account/account-api';
import { engines, leftDatabases, orphanedQueuesOf, sandbox } from '../account/process-wide';
import { Actions, actions as actionNames } from './actions';
import { Orphaned } from './orphaned';
import { logMetrics, prometheusText, prometheusType } from './metrics';
import { idleAccounts, Overview, sandboxSegments, type FoundWarning } from './overview';
import { Watchers } from './watchers';

/** What Node-RED's types lack. */
type PluginAPI = NodeAPI & {
  readonly plugins: { registerPlugin(id: string, definition: object): void };
  readonly log: { metric(): boolean; info(text: string): void };
};

export = (RED: PluginAPI): void => {
  const list = (): ReturnType<typeof engines.list> => engines.list();
  const overview = new Overview(list, (id) => warnAfterOf(RED, id), segmentWarningsOf);
  const orphaned = new Orphaned(engines, orphanedQueuesOf(RED), leftDatabases);
  const watchers = new Watchers(RED, {
    update: () => ({
      queues: overview.queues(),
      idle: idleAccounts(RED, list()),
      orphaned: orphaned.list(),
      sandbox: sandboxSegments(sandbox),
    }),
    history: (key) =>
      list()
        .find((info) => info.key === key)
        ?.engine.monitor.history.list() ?? [],
  });
  const log = (text: string): void => RED.log.info(`[instant-audience] ${printable(text, 4_000)}`);
  serveTab(RED, new Actions(engines, orphaned, log), watchers);
  serveMetrics(RED, overview);
  setInterval(() => {
    for (const { engine } of list()) engine.sample();
    if (RED.log.metric()) logMetrics(RED, overview.queues());
  }, sampleEveryMs).unref();
  RED.plugins.registerPlugin('instant-audience-sidebar', { type: 'instant-audience' });
};

/** Reading requires `instant-audience.read`; actions and exports of user ids require `instant-audience.write`. */
function serveTab(RED: NodeAPI, actions: Actions, watchers: Watchers): void {
  const mayRead = RED.auth.needsPermission('instant-audience.read');
  const mayAct = RED.auth.needsPermission('instant-audience.write');
  RED.httpAdmin.post('/instant-audience/tab/watch', mayRead, (_request, response) => {
    response.json({ ticket: watchers.ticket() });
  });
  for (const action of actionNames) {
    RED.httpAdmin.post(`/instant-audience/tab/${action}`, mayAct, (request, response) => {
      // A form of another site could send text, but not JSON, without the browser asking first.
      const asked: unknown = request.is('json') ? request.body : null;
      void actions.act(action, asked).then(({ status, body }) => response.status(status).json(body));
    });
  }
  RED.httpAdmin.get('/instant-audience/tab/suppressions', mayAct, (_request, response) => {
    void actions.suppressions().then((read) => response.json(read));
  });
  RED.httpAdmin.get('/instant-audience/tab/rejected', mayAct, (request, response) => {
    const { queue, code } = request.query;
    const rejected = actions.rejected(queue, code);
    if (rejected === null) response.status(404).json({ code: 'noQueue' });
    else
      response.json(rejected.map(({ atMs, ...rest }) => ({ time: new Date(atMs).toISOString(), ...rest })));
  });
}

/** For Prometheus, where the settings ask for it. */
function serveMetrics(RED: NodeAPI, overview: Overview): void {
  const settings = RED.settings as unknown as Readonly<Record<string, { metrics?: unknown } | undefined>>;
  const isOn = settings.instantAudience?.metrics === true;
  const mayRead = RED.auth.needsPermission('instant-audience.read');
  RED.httpAdmin.get('/instant-audience/metrics', mayRead, (_request, response) => {
    if (isOn) {
      response.set('Content-Type', prometheusType).send(prometheusText(overview.queues(), engines.list()));
      return;
    }
    const words = RED._('@instant-audience/node-red-xandr/instant-audience-sidebar:metrics.off');
    response.status(404).type('text/plain').send(`${words}\n`);
  });
}

function segmentWarningsOf(account: string): readonly FoundWarning[] {
  const watches = [...segmentWatches.values()].filter((watch) => watch.account === account);
  return watches.flatMap((watch) =>
    watch.warnings(Date.now()).map((warning) => ({ warning, holds: watch.holds })),
  );
}

function warnAfterOf(RED: NodeAPI, id: string): number | null {
  const account = RED.nodes.getNode(id) as unknown as Account | null | undefined;
  return account?.warnAfterMs ?? null;
}
