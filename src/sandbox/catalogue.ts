// Catalogue of the sandbox's segments: resolves ids and codes, and decides which segments a post may change.

/** A segment in the form of `GET /segment` (service.md 5). */
export interface Segment {
  readonly id: number;
  readonly code: string | null;
  readonly short_name: string | null;
  readonly state: 'active' | 'inactive';
  readonly member_id: number;
  /** Expiration of blocks without one, in minutes; null: the default of the sandbox. */
  readonly expire_minutes: number | null;
  readonly last_modified: string;
}

/** Key of a segment in memberships: its id, or `member:code` for a code that is not listed. */
export type SegmentKey = number | string;

/** How the usage statistics classify a segment of a post. */
export type SegmentStanding = 'valid' | 'inactive' | 'invalid' | 'unauthorized';

const day = 1440;
const samples: readonly (readonly [number, string, string, number | null])[] = [
  [10001, 'kitchen_viewers', 'Kitchen: viewed a product', 30 * day],
  [10002, 'buyers', 'Bought something', 90 * day],
  [10003, 'cart_leavers', 'Left a filled cart', 7 * day],
  [10004, 'newsletter_readers', 'Reads the newsletter', 60 * day],
  [10005, 'loyalty_members', 'Loyalty programme', null],
  [10006, 'garden_viewers', 'Garden: viewed a product', 30 * day],
  [10007, 'living_room_viewers', 'Living room: viewed a product', 30 * day],
  [10008, 'kitchen_buyers', 'Kitchen: bought a product', 180 * day],
  [10009, 'store_visitors', 'Visited a store', 14 * day],
  [10010, 'app_users', 'Uses the app', 30 * day],
  [10011, 'video_completers', 'Watched a video to its end', 7 * day],
  [10012, 'opted_out', 'Wants no advertising', null],
];

/** Ids of unknown segments: never listed, and posts to them have no effect. */
export const unknownSamples: readonly number[] = [10997];

/**
 * Twelve usable segments, and two that show posts without effect: one is inactive, one belongs to another member who
 * has not shared it.
 */
export function sampleSegments(member: number): Segment[] {
  const common = { state: 'active' as const, member_id: member, last_modified: '2025-01-15 09:00:00' };
  const listed = samples.map(([id, code, short_name, expire_minutes]) => {
    return { ...common, id, code, short_name, expire_minutes };
  });
  const foreign = { id: 10998, code: 'partner_travellers', short_name: 'Of another member, not shared' };
  const inactive = { id: 10999, code: 'summer_sale_2019', short_name: 'Summer sale 2019 (switched off)' };
  return [
    ...listed,
    { ...common, ...foreign, expire_minutes: 30 * day, member_id: member + 1 },
    { ...common, ...inactive, expire_minutes: 30 * day, state: 'inactive' },
  ];
}

/** A segment just made, which shows that adds to a new segment have no effect. */
export function newSample(member: number, nowWallMs: number): Segment {
  return {
    id: 10996,
    code: 'brand_new',
    short_name: 'Brand new: made when the sandbox started',
    state: 'active',
    member_id: member,
    expire_minutes: 30 * day,
    last_modified: serviceTime(nowWallMs),
  };
}

/** `2015-11-08 01:00:00`, UTC. */
export function serviceTime(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ');
}

export interface CatalogueOptions {
  readonly member: number;
  /** Whether posts may also change segments that are not listed, of any member. */
  readonly acceptUnlisted: boolean;
  /** Ids of segments that no post may change, even with `acceptUnlisted`. */
  readonly unknown: readonly number[];
  /** How long a segment made while the sandbox runs accepts no users. */
  readonly warmUpMinutes: number;
}

/** Far from the ids of samples and those that people choose, so that no new segment has an id already in use. */
const firstMadeId = 20_000_001;

export class Catalogue {
  readonly #byId = new Map<number, Segment>();
  readonly #byCode = new Map<string, Segment>();
  /** Segments with a warm-up: made while this or an earlier sandbox ran, and the sample of `newSample`. */
  readonly #made = new Set<Segment>();
  readonly member: number;
  warmUpMinutes: number;

  /** @param segments listed from the start; they have no warm-up, whatever their dates */
  constructor(
    segments: readonly Segment[],
    private readonly options: CatalogueOptions,
  ) {
    this.member = options.member;
    this.warmUpMinutes = options.warmUpMinutes;
    for (const segment of segments) this.#list(segment);
  }

  /** In order of their ids. */
  get segments(): Segment[] {
    return [...this.#byId.values()].sort((a, b) => a.id - b.id);
  }

  /** Segments made with `POST /segment`, for the next sandbox to continue with. */
  get made(): Segment[] {
    return [...this.#made].filter(({ id }) => id >= firstMadeId);
  }

  get nextId(): number {
    let id = firstMadeId;
    while (this.#byId.has(id)) id += 1;
    return id;
  }

  /** Lists a segment made while this or an earlier sandbox ran. Its warm-up starts at `last_modified`. */
  make(segment: Segment): void {
    this.#made.add(segment);
    this.#list(segment);
  }

  #list(segment: Segment): void {
    this.#byId.set(segment.id, segment);
    if (segment.code !== null) this.#byCode.set(codeKey(segment.member_id, segment.code), segment);
  }

  /** The key of a segment named by code, equal to its key by id if it is listed. Codes compare without case. */
  keyOfCode(member: number, code: string): SegmentKey {
    const key = codeKey(member, code);
    return this.#byCode.get(key)?.id ?? key;
  }

  listed(key: SegmentKey): Segment | undefined {
    return typeof key === 'number' ? this.#byId.get(key) : undefined;
  }

  /** Classifies a segment of a post. During its warm-up a segment is `invalid`, as in the service (service.md 3.2). */
  standing(key: SegmentKey, nowWallMs: number): SegmentStanding {
    const segment = this.listed(key);
    if (segment !== undefined && segment.member_id !== this.member) return 'unauthorized';
    if (segment && this.#isNew(segment, nowWallMs)) return 'invalid';
    if (segment) return segment.state === 'active' ? 'valid' : 'inactive';
    return this.#unlistedStanding(key);
  }

  #isNew(segment: Segment, nowWallMs: number): boolean {
    if (!this.#made.has(segment)) return false;
    return nowWallMs < Date.parse(`${segment.last_modified}Z`) + this.warmUpMinutes * 60_000;
  }

  #unlistedStanding(key: SegmentKey): SegmentStanding {
    if (typeof key === 'number' && this.options.unknown.includes(key)) return 'invalid';
    if (this.options.acceptUnlisted) return 'valid';
    return typeof key === 'string' && !key.startsWith(`${this.member}:`) ? 'unauthorized' : 'invalid';
  }

  /**
   * List elements for unlisted segments that posts may change, so that a query by id or code finds every segment that
   * accepts users. A segment named by code has a generated id.
   */
  unlisted(ids: readonly number[], codes: readonly string[]): Segment[] {
    const validIds = ids.filter((id) => !this.#byId.has(id) && this.#unlistedStanding(id) === 'valid');
    const validCodes = codes.filter((code) => {
      const key = this.keyOfCode(this.member, code);
      return typeof key === 'string' && this.#unlistedStanding(key) === 'valid';
    });
    return [
      ...validIds.map((id) => this.#describe(id, `segment_${id}`)),
      ...validCodes.map((code) => this.#describe(generatedId(code), code)),
    ];
  }

  #describe(id: number, code: string): Segment {
    const common = {
      state: 'active',
      expire_minutes: null,
      last_modified: '2025-01-15 09:00:00',
    } as const;
    return { ...common, id, code, short_name: `Not listed: ${code}`, member_id: this.member };
  }

  /** A segment in the form of the usage log: `(id, code, segment owner member id)`, with 0 for an unknown id. */
  logForm(key: SegmentKey): string {
    const segment = this.listed(key);
    if (segment) return `(${segment.id}, '${segment.code ?? `segment_${segment.id}`}', ${segment.member_id})`;
    if (typeof key === 'number') return `(${key}, 'segment_${key}', ${this.member})`;
    const colon = key.indexOf(':');
    return `(0, '${key.slice(colon + 1)}', ${key.slice(0, colon)})`;
  }

  /** The key of a segment in a query: an id, `member:code`, or a code of the sandbox's own member. */
  keyOfText(text: string): SegmentKey {
    if (/^\d+$/.test(text)) return Number(text);
    const parts = /^(\d+):(.+)$/s.exec(text);
    return parts ? this.keyOfCode(Number(parts[1]), parts[2]!) : this.keyOfCode(this.member, text);
  }
}

/** An id derived from the code, above those of samples and those that people choose. */
function generatedId(code: string): number {
  let hash = 0;
  for (const character of code.toLowerCase()) hash = (Math.imul(hash, 31) + character.codePointAt(0)!) >>> 0;
  return 1_000_000_000 + (hash % 1_000_000_000);
}

function codeKey(member: number, code: string): string {
  return `${member}:${code.toLowerCase()}`;
}
