// Answers `POST /rt-segment`: reads the request, applies its valid blocks and replies with warnings (service.md 3).
import type { Catalogue, SegmentKey } from './catalogue';
import { foldedDomain, foldedUserId, isUnknown, type Memberships } from './memberships';
import type { OperationLog } from './operations';
import type { Quota } from './quota';
import { sample, type Usage, type UsageHour } from './usage';
import { errorReply, isObject, type JsonObject, parseJson, type Reply } from './wire';

/** The state that posts change. */
export interface PostTarget {
  readonly catalogue: Catalogue;
  readonly memberships: Memberships;
  readonly operations: OperationLog;
  readonly usage: Usage;
  readonly quota: Quota;
  /** Expiration where neither block nor segment has one; 0 never expires. */
  defaultExpirationMinutes: number;
}

/** A parsed body, not yet validated. */
export interface PostRequest {
  /** Undefined when the body is not a JSON object. */
  readonly root: JsonObject | undefined;
  /** Empty when there is no `rt_segment` array. */
  readonly entries: readonly unknown[];
}

export function readPost(body: string): PostRequest {
  const root = parseJson(body);
  if (!isObject(root)) return { root: undefined, entries: [] };
  const entries = root.rt_segment;
  return { root, entries: Array.isArray(entries) ? (entries as unknown[]) : [] };
}

/** Whether the request contains any of these user ids, in exactly this spelling. */
export function mentions(request: PostRequest, userIds: ReadonlySet<string>): boolean {
  return request.entries.some((entry) => isObject(entry) && userIds.has(entry.user_id as string));
}

/** Applies a request and replies. An error without a documented warning refuses the whole body (SYNTAX). */
export function applyPost(request: PostRequest, target: PostTarget, post: number, nowWallMs: number): Reply {
  if (!request.root) return errorReply(400, 'SYNTAX', 'The body is not a JSON object');
  const maxUsers = target.quota.limits.usersPerCall;
  const problem = findSyntaxProblem(request.entries, maxUsers);
  if (problem !== null) return errorReply(400, 'SYNTAX', problem);
  target.memberships.sweepNowAndThen(nowWallMs);
  const application = new Application(target, post, nowWallMs);
  const read = Math.min(request.entries.length, maxUsers);
  for (let index = 0; index < read; index += 1) application.entry(request.entries[index] as JsonObject);
  for (const entry of request.entries.slice(read))
    application.warn('Too many user_ids in request.', withoutDomain(entry));
  return application.reply(request.root);
}

/** Application of one request, with its counts and warnings. */
class Application {
  readonly #warnings: string[] = [];
  readonly #hour: UsageHour;
  readonly #usersSeen = new Set<string>();
  readonly #segmentsSeen = new Set<SegmentKey>();
  /** Users detected, valid or not, as the documents count them (service.md 3.3). */
  #users = 0;
  /** Users with at least one valid block. */
  #validUsers = 0;
  #segments = 0;
  #byCodeOnly = true;

  constructor(
    private readonly target: PostTarget,
    private readonly post: number,
    private readonly nowWallMs: number,
  ) {
    this.#hour = target.usage.tally(nowWallMs);
  }

  warn(message: string, entity: unknown): void {
    this.#warnings.push(JSON.stringify({ message, entity }));
    this.#hour.counts.otherErrors += 1;
  }

  entry(entry: JsonObject): void {
    const userId = entry.user_id;
    const blocks = entry.seg_block;
    if (typeof userId !== 'string' || userId === '') {
      this.warn("'user_id' is required and cannot be empty", asRead(entry));
      return;
    }
    this.#users += 1;
    if (!Array.isArray(blocks) || blocks.length === 0) this.warn("'seg_block' is required", asRead(entry));
    else this.#user(entry, userId, blocks as JsonObject[]);
  }

  reply(root: JsonObject): Reply {
    if (this.#validUsers === 0) {
      this.warn('No valid rt_segment in request.', asReadWhole(root));
      // In the documented samples both counts are 0 then, even if users were detected.
      this.#users = 0;
      return { status: 200, body: `{"status":"OK",${this.#message()},${this.#warningList()}}` };
    }
    if (this.#byCodeOnly && this.#warnings.length === 0) {
      return { status: 200, body: `{"response":{"status":"OK",${this.#counts()}}}` };
    }
    return { status: 200, body: `{"response":{"status":"OK",${this.#message()},${this.#warningList()}}}` };
  }

  #user(entry: JsonObject, userId: string, blocks: readonly JsonObject[]): void {
    const domain = foldedDomain(entry.domain as string | null | undefined);
    const user = foldedUserId(domain, userId);
    const unknown = isUnknown(domain, user);
    this.#countUser(domain, user, unknown);
    this.target.quota.noteSegments(blocks.length);
    this.#segmentsSeen.clear();
    const maxBlocks = this.target.quota.limits.segmentsPerUser;
    let valid = 0;
    for (let index = 0; index < blocks.length && index < maxBlocks; index += 1) {
      const block = blocks[index]!;
      const segment = this.#segmentOf(block);
      if (segment === null) {
        this.warn("'seg_id' or 'seg_code' and 'member_id' are required", blockAsRead(block));
        continue;
      }
      valid += 1;
      if (!unknown) this.#change(segment, domain, user, block);
    }
    if (valid === 0) this.warn(`No valid segments for user_id: ${userId}.`, asRead(entry));
    else this.#validUsers += 1;
    this.#segments += valid;
  }

  /** Counts a user in the usage statistics, once per request, as valid or as unknown to the platform. */
  #countUser(domain: string, user: string, unknown: boolean): void {
    const before = this.#usersSeen.size;
    this.#usersSeen.add(domain === '' ? user : `${domain}\n${user}`);
    if (this.#usersSeen.size === before) {
      this.target.quota.totals.repeatedUsers += 1;
    } else if (unknown) {
      this.#hour.counts.invalidUsers += 1;
      sample(this.#hour.samples.inactiveUsers, () => user);
    } else {
      this.#hour.counts.validUsers += 1;
      sample(this.#hour.samples.validUsers, () => user);
    }
  }

  /** The segment of a block; null for a block that names none, or one by id and by code. */
  #segmentOf(block: JsonObject): SegmentKey | null {
    const id = block.seg_id as number | null | undefined;
    const code = block.seg_code as string | null | undefined;
    const member = block.member_id as number | null | undefined;
    if (typeof id === 'number') {
      this.#byCodeOnly = false;
      return typeof code === 'string' ? null : id;
    }
    if (typeof code !== 'string' || code === '' || typeof member !== 'number') return null;
    return this.target.catalogue.keyOfCode(member, code);
  }

  #change(segment: SegmentKey, domain: string, user: string, block: JsonObject): void {
    const before = this.#segmentsSeen.size;
    this.#segmentsSeen.add(segment);
    if (this.#segmentsSeen.size === before) this.target.quota.totals.repeatedSegments += 1;
    if (!this.#mayChange(segment)) return;
    const value = (block.value as number | null | undefined) ?? null;
    const expiration = (block.expiration as number | null | undefined) ?? null;
    const { memberships, operations } = this.target;
    const samples = this.#hour.samples;
    const form = () => `(${user}, ${segment}, ${expiration ?? this.#ownMinutes(segment)})`;
    operations.record({
      post: this.post,
      atWallMs: this.nowWallMs,
      segment: String(segment),
      user_id: user,
      domain: domain === '' ? null : domain,
      value,
      expiration,
    });
    if (expiration === -1) {
      memberships.remove(segment, domain, user);
      this.#hour.counts.validRemoves += 1;
      sample(samples.removals, form);
    } else {
      memberships.put(segment, domain, user, value, this.#expiry(segment, expiration));
      this.#hour.counts.validAdds += 1;
      sample(samples.additions, form);
    }
  }

  /** Whether posts may change the segment. A segment that they may not change shows only in the statistics. */
  #mayChange(segment: SegmentKey): boolean {
    const { catalogue } = this.target;
    const standing = catalogue.standing(segment, this.nowWallMs);
    const list = `${standing}Segments` as const;
    sample(this.#hour.samples[list], () => catalogue.logForm(segment));
    if (list !== 'validSegments') this.#hour.counts[list] += 1;
    return standing === 'valid';
  }

  /** Expiration as epoch ms, counted from now (service.md 3.1); Infinity never expires. */
  #expiry(segment: SegmentKey, expiration: number | null): number {
    const minutes = expiration ?? this.#ownMinutes(segment);
    return minutes === 0 ? Infinity : this.nowWallMs + minutes * 60_000;
  }

  /** Expiration in minutes for a block without one. */
  #ownMinutes(segment: SegmentKey): number {
    const { catalogue, defaultExpirationMinutes } = this.target;
    return catalogue.listed(segment)?.expire_minutes ?? defaultExpirationMinutes;
  }

  #counts(): string {
    return `"users_in_request":${this.#users},"segments_in_request":${this.#segments}`;
  }

  #message(): string {
    return `"message":{${this.#counts()}}`;
  }

  #warningList(): string {
    return `"warnings":[${this.#warnings.join(',')}]`;
  }
}

/** The entity of a warning about an unread entry: the entry as sent, without its domain. */
function withoutDomain(sent: unknown): unknown {
  if (!isObject(sent)) return sent;
  const { domain: _domain, ...rest } = sent;
  return rest;
}

/** The entity of a warning about a read entry. */
function asRead(entry: unknown): unknown {
  const rest = withoutDomain(entry);
  if (!isObject(rest) || !Array.isArray(rest.seg_block)) return rest;
  return { ...rest, seg_block: rest.seg_block.map(blockAsRead) };
}

/** The entity of a warning about the whole request, without the stray domain of two documented samples. */
function asReadWhole(root: JsonObject): unknown {
  const rest = withoutDomain(root) as JsonObject;
  return Array.isArray(rest.rt_segment) ? { ...rest, rt_segment: rest.rt_segment.map(asRead) } : rest;
}

/** A block in an entity: null numbers are left out, a null `seg_code` is not, as in the samples 05 and 07. */
function blockAsRead(block: unknown): unknown {
  if (!isObject(block)) return block;
  return Object.fromEntries(
    Object.entries(block).filter(([key, value]) => value !== null || key === 'seg_code'),
  );
}

/** A sentence about the first value of a wrong type or out of range; null without one. */
function findSyntaxProblem(entries: readonly unknown[], maxUsers: number): string | null {
  for (let index = 0; index < entries.length && index < maxUsers; index += 1) {
    const entry = entries[index];
    if (!isObject(entry)) return `rt_segment[${index}] must be an object`;
    const domain = entry.domain;
    if (domain != null && typeof domain !== 'string')
      return `rt_segment[${index}].domain must be a string or null`;
    const problem = findBlockProblem(entry.seg_block);
    if (problem !== null) return `rt_segment[${index}].${problem}`;
  }
  return null;
}

function findBlockProblem(blocks: unknown): string | null {
  if (!Array.isArray(blocks)) return null;
  for (let index = 0; index < blocks.length; index += 1) {
    const block: unknown = blocks[index];
    const problem = isObject(block) ? findFieldProblem(block) : ' must be an object';
    if (problem !== null) return `seg_block[${index}]${problem}`;
  }
  return null;
}

const largestInt = 2_147_483_647;
/** The smallest value of each field. */
const integers = Object.entries({ seg_id: 1, member_id: 1, value: -largestInt - 1, expiration: -1 });

function findFieldProblem(block: JsonObject): string | null {
  const code = block.seg_code;
  if (code != null && typeof code !== 'string') return '.seg_code must be a string';
  for (const [field, min] of integers) {
    const value = block[field];
    const isRight = Number.isInteger(value) && (value as number) >= min && (value as number) <= largestInt;
    if (value != null && !isRight) return `.${field} must be an integer from ${min} to ${largestInt}`;
  }
  return null;
}
