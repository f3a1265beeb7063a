// Runtime of the tab Audience, a Node-RED plugin: samples the last hour, serves the tab, and emits metrics.

import type { NodeAPI } from 'node-red';
import { printable } from '../../src/entry/index';
import { sampleEveryMs } from '../../src/delivery/index';
import { segmentWatches } from '../instant-audience-out/segment-watch';
import type { Account } from '../account/account-api';
import { engines, leftDatabases, orphanedQueuesOf, sandbox } from '../account/process-wide';
import { Actions } from './actions';
import { Orphaned } from './orphaned';
import { logMetrics } from './metrics';
import { Overview, type FoundWarning } from './overview';
import { serveSidebar } from './routes';
import { segmentsOf } from './sandbox-segments';
import { idleAccounts } from './idle-accounts';
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
      sandbox: segmentsOf(sandbox),
    }),
    history: (key) =>
      list()
        .find((info) => info.key === key)
        ?.engine.monitor.history.list() ?? [],
  });
  serveSidebar(RED, {
    actions: new Actions(engines, orphaned, (text) =>
      RED.log.info(`[instant-audience] ${printable(text, 4_000)}`),
    ),
    watchers,
    queues: () => overview.queues(),
    engines: list,
    metricsOn: metricsWanted(RED),
  });
  setInterval(() => {
    for (const { engine } of list()) engine.sample();
    if (RED.log.metric()) logMetrics(RED, overview.queues());
  }, sampleEveryMs).unref();
  RED.plugins.registerPlugin('instant-audience-sidebar', { type: 'instant-audience' });
};

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

function metricsWanted(RED: NodeAPI): boolean {
  const settings = RED.settings as unknown as Readonly<Record<string, { metrics?: unknown } | undefined>>;
  return settings.instantAudience?.metrics === true;
}
