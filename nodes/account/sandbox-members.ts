// Admin route that lists the members of the sandbox's segments.

import type { NodeAPI } from 'node-red';
import { shortenThrown } from '../../src/entry/index';
import type { MembersQuery, Sandbox, SharedSandbox } from '../../src/sandbox/index';

/** `?segment=` lists the members of one segment, `?user=` the segments of one user; neither only counts. */
export function serveSandboxMembers(RED: NodeAPI, sandbox: SharedSandbox): void {
  const permitted = RED.auth.needsPermission('instant-audience.read');
  RED.httpAdmin.get('/instant-audience/sandbox/members', permitted, (request, response) => {
    const running = sandbox.current();
    if (running === null) {
      response.status(404).json({ error: RED._('account.sandboxStopped') });
      return;
    }
    const answer = (live: Sandbox): void => void response.json(live.members(queryOf(request.query)));
    running.then(answer).catch((error: unknown) => {
      response.status(503).json({ error: shortenThrown(error) });
    });
  });
}

function queryOf(query: Readonly<Record<string, unknown>>): MembersQuery {
  const { segment, user } = query;
  return {
    ...(typeof segment === 'string' && segment !== '' && { segment }),
    ...(typeof user === 'string' && user !== '' && { user }),
  };
}
