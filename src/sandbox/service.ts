// Service of the sandbox, without sockets: checks token and quota, then dispatches a call to its handler. Shows and
// deletes the state.
import type { Auth } from './auth';
import type { Timers } from '../clock';
import type { Faults, RouteName } from './faults';
import type { SegmentKey } from './catalogue';
import type { Membership } from './memberships';
import type { Peaks, Quota } from './quota';
import { listSegments, makeSegment } from './segments';
import { applyPost, type PostRequest, type PostTarget } from './segments-post';
import { errorReply, rateLimitedReply, type RateLimitStyle, type Reply } from './wire';

/** Selects segments and members; without both, only the segments with their counts are shown. */
export interface MembersQuery {
  /** A segment's id, `member:code`, or the code of a listed segment. */
  readonly segment?: string;
  /** A user id in any domain; device ids in either case. */
  readonly user?: string;
  /** Maximum number of members shown of each segment; 1000 by default. */
  readonly limit?: number;
}

export interface SegmentMembers {
  readonly segment: string;
  /** Code and name of a listed segment, else null. */
  readonly code: string | null;
  readonly name: string | null;
  /** Number of all members, including those not shown. */
  readonly count: number;
  readonly members?: Membership[];
}

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
    const exceeded =
      call.route === 'post'
        ? quota.admitPost(call.post?.entries.length ?? 0)
        : quota.admit({ [call.route === 'segments' ? 'segmentReadsPerMinute' : 'getsPerSecond']: 1 });
    if (exceeded === null) return null;
    quota.totals.rateLimited += 1;
    const what = exceeded === 'usersPerSecond' ? 'users' : call.method === 'GET' ? 'reads' : 'writes';
    const perSeconds = call.route === 'segments' ? 60 : 1;
    return rateLimitedReply(this.parts.rateLimit, quota.limits[exceeded], what, call.resource, perSeconds);
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

  members(query: MembersQuery): SegmentMembers[] {
    const { catalogue, memberships } = this.parts.target;
    const nowWallMs = this.parts.clock.wallMs();
    const wanted = query.segment === undefined ? null : catalogue.keyOfText(query.segment);
    return memberships
      .counts(nowWallMs)
      .filter(({ segment }) => wanted === null || segment === wanted)
      .map(({ segment, count }) => {
        const { code = null, short_name: name = null } = catalogue.listed(segment) ?? {};
        const shown = this.#shownMembers(segment, query, nowWallMs);
        return { segment: String(segment), code, name, count, ...(shown === null ? {} : { members: shown }) };
      })
      .filter(({ members }) => query.user === undefined || (members ?? []).length > 0);
  }

  #shownMembers(segment: SegmentKey, query: MembersQuery, nowWallMs: number): Membership[] | null {
    const { memberships } = this.parts.target;
    if (query.user !== undefined) return [...memberships.membershipsOf(segment, query.user, nowWallMs)];
    if (query.segment === undefined) return null;
    return memberships.firstMembers(segment, query.limit ?? 1000, nowWallMs);
  }

  peaks(): Peaks {
    return this.parts.quota.peaks(this.parts.auth.counts());
  }

  reset(): void {
    const { quota, auth, target } = this.parts;
    for (const part of [target.memberships, target.operations, target.usage]) part.clear();
    quota.reset();
    auth.reset();
  }
}
