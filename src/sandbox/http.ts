// HTTP front of the sandbox: routes requests, reads bodies, applies scripted faults and sends replies.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isAdmin, serveAdmin } from './admin';
import { plainFailure, poisoned, type Effect, type Plan, type RouteName } from './faults';
import { mentions, readPost } from './segments-post';
import type { Call, Service } from './service';
import { type Body, errorReply, rateLimitedReply, readBody, type Reply, send } from './wire';

const routes: ReadonlyMap<string, RouteName> = new Map([
  ['POST /auth', 'auth'],
  ['POST /v2/auth/jwt', 'auth'],
  ['POST /rt-segment', 'post'],
  ['GET /rt-segment-processed', 'usage'],
  ['GET /segment', 'segments'],
  ['POST /segment', 'segments'],
]);

/** Header of every reply, which shows that this is not the real service. */
const markHeader = 'x-instant-audience-sandbox';

const garbage: Reply = {
  status: 200,
  headers: { 'content-type': 'text/html' },
  body: '<html><body>A gateway has answered</body></html>',
};

export class HttpFront {
  /** Functions that cancel delayed replies and late applications. */
  readonly #cancels = new Set<() => void>();

  constructor(private readonly service: Service) {}

  /** The listener for node:http. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader(markHeader, '1');
    const url = readUrl(request.url);
    const refusal = refuseWebPage(request);
    if (refusal !== null) this.#refuse(request, response, refusal);
    else if (url === null)
      this.#refuse(request, response, errorReply(400, 'SYNTAX', 'The URL cannot be read'));
    else this.#route(url, request, response);
  }

  #route(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const place = `${request.method} ${url.pathname}`;
    const route = routes.get(place);
    if (route !== undefined) this.#serve(route, url, request, response);
    else if (isAdmin(url)) serveAdmin(this.service, url, request, response);
    else this.#refuse(request, response, errorReply(404, 'SYNTAX', `There is no ${place} here`));
  }

  /** Cancels delayed replies and late applications. */
  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  #serve(route: RouteName, url: URL, request: IncomingMessage, response: ServerResponse): void {
    const { quota, faults } = this.service.parts;
    const isPost = route === 'post';
    const admitted = quota.begin(isPost);
    readBody(request, quota.limits.bodyBytes, (body) => {
      if (body === null) {
        quota.end(isPost);
        return;
      }
      const call = toCall(route, url, request, body);
      if (!admitted) {
        this.#refuseConcurrent(call, response);
        return;
      }
      const plan = faults.plan(route, (userIds) => call.post !== undefined && mentions(call.post, userIds));
      this.#wait(plan.beforeMs, () => this.#carryOut(call, plan, response));
    });
  }

  /** Refuses a call beyond the calls in flight, with an error in a 200. */
  #refuseConcurrent(call: Call, response: ServerResponse): void {
    const { quota } = this.service.parts;
    this.service.note(call);
    quota.totals.rateLimited += 1;
    quota.end(call.route === 'post');
    send(response, errorReply(200, 'LIMIT', `More than ${quota.limits.concurrent} calls at a time`));
  }

  #carryOut(call: Call, plan: Plan, response: ServerResponse): void {
    const { effect } = plan;
    const end = () => this.service.parts.quota.end(call.route === 'post');
    if (effect?.kind === 'lateApply') {
      response.destroy();
      this.#wait(effect.afterMs, () => {
        this.service.act(call);
        end();
      });
      return;
    }
    const reply = effect === null ? this.service.act(call) : this.#applyFault(effect, call);
    this.#wait(plan.afterMs, () => {
      end();
      if (reply === null) response.destroy();
      else send(response, reply);
    });
  }

  /** Carries out a call with a fault; null breaks the connection. */
  #applyFault(effect: Exclude<Effect, { kind: 'lateApply' }>, call: Call): Reply | null {
    const { service } = this;
    switch (effect.kind) {
      case 'poison':
        return service.act(call, poisoned(effect.status ?? 400));
      case 'lostReply':
        service.act(call);
        return null;
      case 'deadToken':
        service.parts.faults.killTokens();
        return service.act(call);
      case 'garbage':
        return this.#instead(call, effect.applied ?? true, garbage);
      case 'status':
        return this.#instead(call, effect.applied ?? false, this.#failure(effect.status, call));
      case 'rateLimit':
        return this.#instead(call, false, this.#rateLimited(call, effect.as));
      case 'error':
        return this.#instead(
          call,
          false,
          errorReply(effect.status ?? 200, effect.errorId, 'Scripted by a fault'),
        );
      case 'drop':
        service.note(call);
        return null;
    }
  }

  #instead(call: Call, applied: boolean, reply: Reply): Reply {
    if (applied) this.service.act(call);
    else this.service.note(call);
    return reply;
  }

  #failure(status: number, call: Call): Reply {
    return status === 429 ? this.#rateLimited(call, '429') : plainFailure(status);
  }

  #rateLimited(call: Call, as: '429' | '503' | 'LIMIT' | undefined): Reply {
    const { rateLimit, quota } = this.service.parts;
    const style = { ...rateLimit, form: as ?? rateLimit.form };
    const isPost = call.route === 'post';
    const limit = isPost ? quota.limits.postsPerSecond : quota.limits.getsPerSecond;
    return rateLimitedReply(style, limit, isPost ? 'writes' : 'reads', call.resource);
  }

  #refuse(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
    readBody(request, 0, (body) => {
      if (body !== null) send(response, reply);
    });
  }

  #wait(delayMs: number, then: () => void): void {
    if (delayMs <= 0) {
      then();
      return;
    }
    const cancel = this.service.parts.clock.after(delayMs, () => {
      this.#cancels.delete(cancel);
      then();
    });
    this.#cancels.add(cancel);
  }
}

/** Host names of this machine, with any port, since another program may forward its port to the sandbox. */
const ownHost = /^(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?$/i;

/**
 * Refuses requests of web pages; null for all others. A page that resolves its own name to this machine (DNS rebinding)
 * sends that name as host; browsers mark the requests of all other pages with `Origin` or `Sec-Fetch-Site`.
 */
function refuseWebPage({ headers }: IncomingMessage): Reply | null {
  if (!ownHost.test(headers.host ?? '')) {
    return errorReply(403, 'UNAUTH', 'The sandbox answers only at 127.0.0.1 and localhost');
  }
  const site = headers['sec-fetch-site'] ?? 'none';
  if (headers.origin !== undefined || (site !== 'none' && site !== 'same-origin')) {
    return errorReply(403, 'UNAUTH', 'Web pages may not use the sandbox');
  }
  return null;
}

function toCall(route: RouteName, url: URL, request: IncomingMessage, body: Body): Call {
  return {
    method: request.method ?? '',
    route,
    resource: url.pathname.slice(url.pathname.lastIndexOf('/') + 1),
    token: request.headers.authorization ?? url.searchParams.get('access_token') ?? undefined,
    contentType: request.headers['content-type'] ?? '',
    query: url.searchParams,
    body: body.text,
    bodyBytes: body.bytes,
    post: route === 'post' ? readPost(body.text) : undefined,
  };
}

function readUrl(text: string | undefined): URL | null {
  return text?.startsWith('/') ? URL.parse(`http://sandbox${text}`) : null;
}
