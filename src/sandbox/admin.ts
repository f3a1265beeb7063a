// Admin routes of the sandbox: show memberships and peaks, set faults, reset. For this machine only.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Fault } from './faults';
import type { MembersQuery, Service } from './service';
import { errorReply, isObject, jsonReply, parseJson, readBody, type Reply, send } from './wire';

const about = `This is the sandbox of @instant-audience/node-red-xandr: a local simulation of the Instant Audience
Service, to try and test clients without an account. Nothing posted here reaches a real audience.

  POST /auth, POST /v2/auth/jwt      get a token
  POST /rt-segment                   add users to segments, and remove them
  GET  /rt-segment-processed         usage statistics
  GET  /segment                      list of segments
  POST /segment                      make a segment, which accepts no users in its first minutes

  GET  /sandbox/members              members of segments: ?segment=10001 or ?user=...
  GET  /sandbox/state                all memberships
  GET  /sandbox/peaks                the highest load in any second
  GET  /sandbox/faults               scripted faults; PUT replaces them
  GET  /sandbox/processing           delay from a post to its statistics; PUT {"delaySeconds":120}
  DELETE /sandbox/state              delete memberships and counts
`;

/** One day, the longest documented delay (service.md 4). */
const maxDelaySeconds = 86_400;

/** Answers of the admin routes; `body` is undefined for text that is not JSON. */
const routes: Readonly<Record<string, (service: Service, query: URLSearchParams, body: unknown) => Reply>> = {
  'GET /': () => ({ status: 200, body: about, headers: { 'content-type': 'text/plain; charset=utf-8' } }),
  'GET /sandbox/members': (service, query) =>
    jsonReply({ segments: service.members(readMembersQuery(query)) }),
  'GET /sandbox/peaks': (service) => jsonReply(service.peaks()),
  'GET /sandbox/faults': ({ parts }) => jsonReply({ faults: parts.faults.list() }),
  'PUT /sandbox/faults': (service, _query, body) => setFaults(service, body),
  'GET /sandbox/processing': processing,
  'PUT /sandbox/processing': (service, _query, body) => setProcessing(service, body),
  'DELETE /sandbox/state': (service) => {
    service.reset();
    return jsonReply({ status: 'OK' });
  },
};

export function isAdmin({ pathname }: URL): boolean {
  return pathname === '/' || pathname.startsWith('/sandbox/');
}

export function serveAdmin(
  service: Service,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const route = `${request.method} ${url.pathname}`;
  readBody(request, 1_000_000, (body) => {
    if (body === null) return;
    if (route === 'GET /sandbox/state') sendState(service, response);
    else if (!Object.hasOwn(routes, route))
      send(response, errorReply(404, 'SYNTAX', `There is no ${route} here; GET / lists the routes`));
    else send(response, routes[route]!(service, url.searchParams, parseJson(body.text)));
  });
}

/** Accepts `[faults…]` or `{"seed":1,"faults":[…]}`. */
function setFaults({ parts }: Service, body: unknown): Reply {
  const { faults, seed } = isObject(body) ? body : { faults: body, seed: undefined };
  if (seed !== undefined && !Number.isSafeInteger(seed))
    return errorReply(400, 'SYNTAX', 'seed must be an integer');
  try {
    parts.faults.set(faults as Fault[], seed as number | undefined);
  } catch (error) {
    return errorReply(400, 'SYNTAX', error instanceof Error ? error.message : 'These are not faults');
  }
  return jsonReply({ faults: parts.faults.list() });
}

function processing({ parts }: Service): Reply {
  return jsonReply({ delaySeconds: parts.target.usage.delayMs / 1000 });
}

function setProcessing(service: Service, body: unknown): Reply {
  const seconds = isObject(body) ? body.delaySeconds : undefined;
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= maxDelaySeconds)) {
    return errorReply(400, 'SYNTAX', `delaySeconds must be a number from 0 to ${maxDelaySeconds}`);
  }
  service.parts.target.usage.delayMs = seconds * 1000;
  return processing(service);
}

/** Streams the memberships, since a million in one text would block the event loop. */
function sendState({ parts: { clock, target } }: Service, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const rows = Readable.from(jsonLines(target.memberships.all(clock.wallMs())));
  // Fails only when the client disconnects, which needs no handling.
  pipeline(rows, response).catch(() => undefined);
}

function readMembersQuery(query: URLSearchParams): MembersQuery {
  const [segment, user, limit] = [query.get('segment'), query.get('user'), query.get('limit')];
  return {
    ...(segment === null ? {} : { segment }),
    ...(user === null ? {} : { user }),
    ...(limit !== null && /^\d{1,9}$/.test(limit) ? { limit: Number(limit) } : {}),
  };
}

/** Yields a JSON array in chunks of about 200,000 characters, with one row on each line. */
function* jsonLines(rows: Iterable<unknown>): Generator<string> {
  let chunk = '[';
  let separator = '\n';
  for (const row of rows) {
    chunk += separator + JSON.stringify(row);
    separator = ',\n';
    if (chunk.length < 200_000) continue;
    yield chunk;
    chunk = '';
  }
  yield `${chunk}\n]\n`;
}
