// The segments that the sandbox lists, which segment a block of a post means, and what may be done with it.

/** As `GET /segment` shows it (service.md 5). */
export interface Segment {
  readonly id: number;
  readonly code: string | null;
  readonly short_name: string | null;
  readonly state: 'active' | 'inactive';
  readonly member_id: number;
  /** How long a member stays whose block does not say; null leaves that to the member's default. */
  readonly expire_minutes: number | null;
  readonly last_modified: string;
}

/** A segment as memberships know it: its id, or `member:code` for a code that is not listed. */
export type SegmentKey = number | string;

/** What the usage statistics say about a segment of a post. */
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

/** An id among the samples that is nobody's: never listed, and what is posted for it has no effect. */
export const unknownSamples: readonly number[] = [10997];

/**
 * Twelve segments to choose from, and two for those who want to see what comes of them: one that is switched off, and
 * one of another member, who has not shared it.
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

/** A sample for those who want to see what comes of adds to a segment that has just been made. */
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
  /** Whether segments that are not listed are taken as well, of whatever member. */
  readonly acceptUnlisted: boolean;
  /** Ids that are not taken all the same. */
  readonly unknown: readonly number[];
  /** How long a segment is new that is made while the sandbox runs. */
  readonly warmUpMinutes: number;
}

/** Far from the ids of samples and people, so that no segment is made that somebody fills already. */
const firstMadeId = 20_000_001;

export class Catalogue {
  readonly #byId = new Map<number, Segment>();
  readonly #byCode = new Map<string, Segment>();
  /** Made while the sandbox ran, or just before. */
  readonly #made = new Set<Segment>();
  readonly member: number;
  warmUpMinutes: number;

  /** Segments that are given are old, whatever their dates say. */
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

  /** What `POST /segment` has made; the next sandbox goes on with it. */
  get made(): Segment[] {
    return [...this.#made].filter(({ id }) => id >= firstMadeId);
  }

  get nextId(): number {
    let id = firstMadeId;
    while (this.#byId.has(id)) id += 1;
    return id;
  }

  /** Lists a segment that is made while the sandbox runs, or was in an earlier one. It is new from its date. */
  make(segment: Segment): void {
    this.#made.add(segment);
    this.#list(segment);
  }

  #list(segment: Segment): void {
    this.#byId.set(segment.id, segment);
    if (segment.code !== null) this.#byCode.set(codeKey(segment.member_id, segment.code), segment);
  }

  /** One key for one segment, whether a block names it by id or by code (codes compare without case). */
  keyOfCode(member: number, code: string): SegmentKey {
    const key = codeKey(member, code);
    return this.#byCode.get(key)?.id ?? key;
  }

  listed(key: SegmentKey): Segment | undefined {
    return typeof key === 'number' ? this.#byId.get(key) : undefined;
  }

  /** The servers that read posts do not know a new segment yet. */
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
   * What the list says of segments that were asked for by id or code and are taken without being listed: a service
   * that takes them does not call them unknown. Codes have an id that is made up.
   */
  unlisted(ids: readonly number[], codes: readonly string[]): Segment[] {
    const takenIds = ids.filter((id) => !this.#byId.has(id) && this.#unlistedStanding(id) === 'valid');
    const takenCodes = codes.filter((code) => {
      const key = this.keyOfCode(this.member, code);
      return typeof key === 'string' && this.#unlistedStanding(key) === 'valid';
    });
    return [
      ...takenIds.map((id) => this.#describe(id, `segment_${id}`)),
      ...takenCodes.map((code) => this.#describe(madeUpId(code), code)),
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

  /** `(id, code, segment owner member id)` as the usage statistics write it; 0 for an id that is not known. */
  logForm(key: SegmentKey): string {
    const segment = this.listed(key);
    if (segment) return `(${segment.id}, '${segment.code ?? `segment_${segment.id}`}', ${segment.member_id})`;
    if (typeof key === 'number') return `(${key}, 'segment_${key}', ${this.member})`;
    const colon = key.indexOf(':');
    return `(0, '${key.slice(colon + 1)}', ${key.slice(0, colon)})`;
  }

  /** A segment as a person writes it in a query: an id, `member:code`, or one of the own member's codes. */
  keyOfText(text: string): SegmentKey {
    if (/^\d+$/.test(text)) return Number(text);
    const parts = /^(\d+):(.+)$/s.exec(text);
    return parts ? this.keyOfCode(Number(parts[1]), parts[2]!) : this.keyOfCode(this.member, text);
  }
}

/** The same for the same code, and above what samples and people use. */
function madeUpId(code: string): number {
  let hash = 0;
  for (const letter of code.toLowerCase()) hash = (Math.imul(hash, 31) + letter.codePointAt(0)!) >>> 0;
  return 1_000_000_000 + (hash % 1_000_000_000);
}

function codeKey(member: number, code: string): string {
  return `${member}:${code.toLowerCase()}`;
}
