// Service of the sandbox, without sockets: checks token and quota, then dispatches a call to its handler.
import type { Auth } from './auth';
import type { Timers } from '../clock';
import type { Faults, RouteName } from './faults';
import type { Quota } from './quota';
import { errorReply, rateLimitedReply, type RateLimitStyle, type Reply } from './reply';
import { listSegments } from './segments-list';
import { makeSegment } from './segments-make';
import { applyPost, type PostRequest, type PostTarget } from './segments-post';

export interface ServiceParts {
  readonly clock: Timers;
  readonly quota: Quota;
  readonly auth: Auth;
  readonly faults: Faults;
  readonly target: PostTarget;
  readonly rateLimit: RateLimitStyle;
}

/** A call with its complete body. */
export interface Call {
  readonly method: string;
  readonly route: RouteName;
  /** The last part of the path, for the text of refusals. */
  readonly resource: string;
  readonly token: string | undefined;
  readonly contentType: string;
  readonly query: URLSearchParams;
  readonly body: string;
  readonly bodyBytes: number;
  readonly post: PostRequest | undefined;
}

export class Service {
  #posts = 0;

  constructor(readonly parts: ServiceParts) {}

  /** Records a call in totals and peaks, whatever its outcome. `act` does this itself. */
  note(call: Call): void {
    const { quota } = this.parts;
    if (call.route === 'post') quota.notePost(call.post?.entries.length ?? 0, call.bodyBytes);
    else if (call.method === 'GET') quota.noteGet();
  }

  /** Carries out a call synchronously and returns the reply. A `refusal` replaces the call's own work. */
  act(call: Call, refusal?: Reply): Reply {
    this.note(call);
    try {
      return this.#check(call) ?? refusal ?? this.#serve(call);
    } catch (error) {
      // An error in the sandbox must not end its process, which may be a Node-RED instance.
      return errorReply(
        500,
        'SYSTEM',
        `The sandbox failed: ${error instanceof Error ? error.message : 'unknown'}`,
      );
    }
  }

  /** A refusal by size, token or quota, else null. A call without a valid token uses no quota. */
  #check(call: Call): Reply | null {
    const { quota, auth } = this.parts;
    const { bodyBytes: max } = quota.limits;
    if (call.bodyBytes > max) return errorReply(413, 'SYNTAX', `The body is larger than ${max} bytes`);
    if (call.route === 'auth') return null;
    if (!auth.check(call.token)) return errorReply(401, 'NOAUTH', 'Authentication failed - not logged in');
    return call.route === 'post' ? this.#checkPost(call) : this.#checkRead(call);
  }

  #checkPost(call: Call): Reply | null {
    const { quota } = this.parts;
    const exceeded = quota.admitPost(call.post?.entries.length ?? 0);
    if (exceeded === null) return null;
    if (exceeded === 'posts') return this.#rateLimited(quota.limits.postsPerSecond, 'writes', call);
    return this.#rateLimited(quota.limits.usersPerSecond, 'users', call);
  }

  #checkRead(call: Call): Reply | null {
    const { quota } = this.parts;
    if (call.route === 'segments') {
      const { segmentReadsPerMinute: max } = quota.limits;
      if (quota.admitSegmentCall()) return null;
      return this.#rateLimited(max, call.method === 'GET' ? 'reads' : 'writes', call, 60);
    }
    return quota.admitGet() ? null : this.#rateLimited(quota.limits.getsPerSecond, 'reads', call);
  }

  #rateLimited(limit: number, what: string, call: Call, perSeconds = 1): Reply {
    this.parts.quota.totals.rateLimited += 1;
    return rateLimitedReply(this.parts.rateLimit, limit, what, call.resource, perSeconds);
  }

  #serve(call: Call): Reply {
    const { auth, target, clock } = this.parts;
    switch (call.route) {
      case 'auth':
        return call.resource === 'jwt' ? auth.jwt(call.body, call.contentType) : auth.password(call.body);
      case 'post':
        this.#posts += 1;
        return applyPost(call.post!, target, this.#posts, clock.wallMs());
      case 'usage':
        return target.usage.report(call.query, target.catalogue.member, clock.wallMs());
      case 'segments':
        return call.method === 'GET'
          ? listSegments(target.catalogue, call.query)
          : makeSegment(target.catalogue, call.query, call.body, clock.wallMs());
    }
  }
}
