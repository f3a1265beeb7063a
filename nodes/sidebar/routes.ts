// Admin routes of the tab and of Prometheus. Reading requires `instant-audience.read`; actions and exports of user ids
// require `instant-audience.write`.

import type { NodeAPI } from 'node-red';
import type { EngineInfo } from '../../src/delivery/index';
import { actions, type Actions } from './actions';
import { prometheusText, prometheusType } from './metrics';
import type { ShownQueue } from './overview';
import type { Watchers } from './watchers';

export interface Served {
  readonly actions: Actions;
  readonly watchers: Watchers;
  readonly queues: () => readonly ShownQueue[];
  readonly engines: () => readonly EngineInfo[];
  /** Whether the settings ask for the Prometheus endpoint. */
  readonly metricsOn: boolean;
}

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
