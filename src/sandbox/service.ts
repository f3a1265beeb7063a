// What a call does and answers, without sockets: token, quota, and the part that the call is for.
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

/** A call whose body has come in. */
export interface Call {
  readonly method: string;
  readonly route: RouteName;
  /** The last part of the path, by which refusals name it. */
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

  /** The call is counted, whatever becomes of it. `act` does this by itself. */
  note(call: Call): void {
    const { quota } = this.parts;
    if (call.route === 'post') quota.notePost(call.post?.entries.length ?? 0, call.bodyBytes);
    else if (call.method === 'GET') quota.noteGet();
  }

  /** Carries a call out, all at once, and answers it. `refusal` answers in place of what the call is for. */
  act(call: Call, refusal?: Reply): Reply {
    this.note(call);
    try {
      return this.#gate(call) ?? refusal ?? this.#serve(call);
    } catch (error) {
      // A mistake in the sandbox must not end the process that hosts it, which may be a Node-RED.
      return errorReply(
        500,
        'SYSTEM',
        `The sandbox failed: ${error instanceof Error ? error.message : 'unknown'}`,
      );
    }
  }

  /** Refuses what may not go on; a call without a live token takes nothing from the quota. */
  #gate(call: Call): Reply | null {
    const { quota, auth } = this.parts;
    const most = quota.limits.bodyBytes;
    if (call.bodyBytes > most) return errorReply(413, 'SYNTAX', `The body is larger than ${most} bytes`);
    if (call.route === 'auth') return null;
    if (!auth.check(call.token)) return errorReply(401, 'NOAUTH', 'Authentication failed - not logged in');
    return call.route === 'post' ? this.#gatePost(call) : this.#gateGet(call);
  }

  #gatePost(call: Call): Reply | null {
    const { quota } = this.parts;
    const broken = quota.admitPost(call.post?.entries.length ?? 0);
    if (broken === null) return null;
    if (broken === 'posts') return this.#rateLimited(quota.limits.postsPerSecond, 'writes', call);
    return this.#rateLimited(quota.limits.usersPerSecond, 'users', call);
  }

  #gateGet(call: Call): Reply | null {
    const { quota } = this.parts;
    if (call.route === 'segments') {
      const { segmentReadsPerMinute: most } = quota.limits;
      if (quota.admitSegmentCall()) return null;
      return this.#rateLimited(most, call.method === 'GET' ? 'reads' : 'writes', call, 60);
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
