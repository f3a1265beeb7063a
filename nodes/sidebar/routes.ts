// Admin routes of the tab and of Prometheus. Reading requires `instant-audience.read`; actions and exports of user ids
// require `instant-audience.write`.

import type { NodeAPI } from 'node-red';
import { entryBody, parseBody } from '../../src/entry/index';
import type { EngineInfo } from '../../src/delivery/index';
import { readAll, type Row } from '../../src/queue/index';
import { actions, type Actions } from './actions';
import type { OrphanedQueues } from '../account/orphaned-queues';
import type { OrphanedShared } from './orphaned-shared';
import { prometheusText, prometheusType } from './metrics';
import type { ShownQueue } from './overview';
import { troubleOf } from '../account/trouble';
import type { Watchers } from './watchers';

export interface Served {
  readonly actions: Actions;
  readonly watchers: Watchers;
  readonly left: OrphanedQueues;
  readonly orphanedShared: OrphanedShared;
  readonly queues: () => readonly ShownQueue[];
  readonly engines: () => readonly EngineInfo[];
  /** Whether the settings ask for the Prometheus endpoint. */
  readonly metricsOn: boolean;
}

type Response = Parameters<Parameters<NodeAPI['httpAdmin']['get']>[1]>[1];

export function serveSidebar(RED: NodeAPI, served: Served): void {
  const mayRead = RED.auth.needsPermission('instant-audience.read');
  const mayAct = RED.auth.needsPermission('instant-audience.write');
  RED.httpAdmin.post('/instant-audience/tab/watch', mayRead, (_request, response) => {
    response.json({ ticket: served.watchers.ticket() });
  });
  for (const action of actions) {
    RED.httpAdmin.post(`/instant-audience/tab/${action}`, mayAct, (request, response) => {
      // A form of another site could send text, but not JSON, without the browser asking first.
      const body: unknown = request.is('json') ? request.body : null;
      void served.actions
        .act(action, body)
        .then(({ status, body: reply }) => response.status(status).json(reply));
    });
  }
  RED.httpAdmin.get('/instant-audience/tab/rejected', mayAct, (request, response) => {
    const rejected = served.actions.rejected(request.query.queue);
    if (rejected === null) response.status(404).json({ code: 'noQueue' });
    else
      response.json(rejected.map(({ atMs, ...rest }) => ({ time: new Date(atMs).toISOString(), ...rest })));
  });
  RED.httpAdmin.get('/instant-audience/tab/left', mayAct, (request, response) => {
    const read = readerOf(served, request.query);
    if (read === null) response.status(404).json({ code: 'noQueue' });
    else void sendLeft(read, response);
  });
  RED.httpAdmin.get('/instant-audience/metrics', mayRead, (_request, response) => {
    if (!served.metricsOn) {
      const key = '@instant-audience/node-red-xandr/instant-audience-sidebar:metrics.off';
      response
        .status(404)
        .type('text/plain')
        .send(`${RED._(key)}\n`);
      return;
    }
    response.set('Content-Type', prometheusType).send(prometheusText(served.queues(), served.engines()));
  });
}

interface Reader {
  readonly where: 'file' | 'database';
  /** The queued entries, a page at a time. */
  readonly read: (take: (rows: readonly Row[]) => Promise<void>) => Promise<void>;
}

/** An orphaned file or shared queue. */
function readerOf({ left, orphanedShared }: Served, { file, queue }: Record<string, unknown>): Reader | null {
  const shared = orphanedShared.find(queue);
  if (shared !== null) {
    const { queues, queue: its } = shared;
    return { where: 'database', read: (take) => queues.readAll(its.schema, take) };
  }
  const path = left.pathOf(file);
  return path === null ? null : { where: 'file', read: (take) => readAll(path, left.secrets(), take) };
}

/** A line of JSON for each entry, in the form that the out node takes. */
async function sendLeft({ where, read }: Reader, response: Response): Promise<void> {
  try {
    await read((rows) => writeRows(rows, response));
    // Nothing was written when nothing waits.
    if (!response.headersSent) response.type('application/x-ndjson');
    response.end();
  } catch (error) {
    if (response.headersSent) response.destroy();
    else response.status(500).json({ code: 'failed', ...troubleOf(error, where) });
  }
}

function writeRows(rows: readonly Row[], response: Response): Promise<void> {
  if (rows.length === 0) return Promise.resolve();
  if (!response.headersSent) response.type('application/x-ndjson');
  const room = response.write(rows.map(lineOf).join(''));
  if (room || response.destroyed) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}

/** With its event time, so that an expiration still counts from then. */
function lineOf({ body, eventWallMs }: Row): string {
  try {
    const entry = JSON.parse(entryBody(parseBody(body))) as object;
    return `${JSON.stringify({ ...entry, event_time: Math.round(eventWallMs) })}\n`;
  } catch {
    // A damaged row is exported as it is, for manual repair.
    return `${JSON.stringify({ damaged: body })}\n`;
  }
}
