// The segments that the sandbox lists, and which segment a block of a post means.

/** As `GET /segment` shows it (spec section 5). */
export interface Segment {
  readonly id: number;
  readonly code: string;
  readonly short_name: string;
  readonly state: 'active' | 'inactive';
  readonly member_id: number;
  readonly expire_minutes: number;
  readonly last_modified: string;
}

/** A segment as memberships know it: its id, or `member:code` for a code that is not listed. */
export type SegmentKey = number | string;

/** What the usage statistics say about a segment of a post. */
export type SegmentStanding = 'valid' | 'inactive' | 'invalid' | 'unauthorized';

const day = 1440;
const samples: readonly (readonly [number, string, string, number])[] = [
  [10001, 'kitchen_viewers', 'Kitchen: viewed a product', 30 * day],
  [10002, 'buyers', 'Bought something', 90 * day],
  [10003, 'cart_leavers', 'Left a filled cart', 7 * day],
  [10004, 'newsletter_readers', 'Reads the newsletter', 60 * day],
  [10005, 'loyalty_members', 'Loyalty programme', 0],
  [10006, 'garden_viewers', 'Garden: viewed a product', 30 * day],
  [10007, 'living_room_viewers', 'Living room: viewed a product', 30 * day],
  [10008, 'kitchen_buyers', 'Kitchen: bought a product', 180 * day],
  [10009, 'store_visitors', 'Visited a store', 14 * day],
  [10010, 'app_users', 'Uses the app', 30 * day],
  [10011, 'video_completers', 'Watched a video to its end', 7 * day],
  [10012, 'opted_out', 'Wants no advertising', 0],
];

/** An id among the samples that is nobody's: never listed, and what is posted for it has no effect. */
const unknownSamples: readonly number[] = [10997];

/**
 * Twelve segments to choose from, and three for those who want to see what comes of them: one that is switched off,
 * one that was made when the sandbox started, and one of another member, who has not shared it.
 */
export function sampleSegments(member: number, nowWallMs: number): Segment[] {
  const common = { state: 'active' as const, member_id: member, last_modified: '2025-01-15 09:00:00' };
  const listed = samples.map(([id, code, short_name, expire_minutes]) => {
    return { ...common, id, code, short_name, expire_minutes };
  });
  const young = { id: 10996, code: 'brand_new', short_name: 'Brand new: made when the sandbox started' };
  const foreign = { id: 10998, code: 'partner_travellers', short_name: 'Of another member, not shared' };
  const inactive = { id: 10999, code: 'summer_sale_2019', short_name: 'Summer sale 2019 (switched off)' };
  const special = { ...common, expire_minutes: 30 * day };
  return [
    ...listed,
    { ...special, ...young, last_modified: serviceTime(nowWallMs) },
    { ...special, ...foreign, member_id: member + 1 },
    { ...special, ...inactive, state: 'inactive' },
  ];
}

/** `2015-11-08 01:00:00`, UTC. */
export function serviceTime(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ');
}

export class Catalogue {
  readonly #byId = new Map<number, Segment>();
  readonly #byCode = new Map<string, Segment>();

  constructor(
    readonly segments: readonly Segment[],
    readonly member: number,
    /** Whether segments that are not listed are taken as well, of whatever member. */
    private readonly acceptUnlisted: boolean,
    /** Ids that are not taken all the same. */
    private readonly unknown: readonly number[] = unknownSamples,
  ) {
    for (const segment of segments) {
      this.#byId.set(segment.id, segment);
      this.#byCode.set(codeKey(segment.member_id, segment.code), segment);
    }
  }

  /** One key for one segment, whether a block names it by id or by code (codes compare without case). */
  keyOfCode(member: number, code: string): SegmentKey {
    const key = codeKey(member, code);
    return this.#byCode.get(key)?.id ?? key;
  }

  listed(key: SegmentKey): Segment | undefined {
    return typeof key === 'number' ? this.#byId.get(key) : undefined;
  }

  standing(key: SegmentKey): SegmentStanding {
    const segment = this.listed(key);
    if (segment !== undefined && segment.member_id !== this.member) return 'unauthorized';
    if (segment) return segment.state === 'active' ? 'valid' : 'inactive';
    if (typeof key === 'number' && this.unknown.includes(key)) return 'invalid';
    if (this.acceptUnlisted) return 'valid';
    return typeof key === 'string' && !key.startsWith(`${this.member}:`) ? 'unauthorized' : 'invalid';
  }

  /**
   * What the list says of segments that were asked for by id or code and are taken without being listed: a service
   * that takes them does not call them unknown. Codes have an id that is made up.
   */
  unlisted(ids: readonly number[], codes: readonly string[]): Segment[] {
    const takenIds = ids.filter((id) => !this.#byId.has(id) && this.standing(id) === 'valid');
    const takenCodes = codes.filter((code) => {
      const key = this.keyOfCode(this.member, code);
      return typeof key === 'string' && this.standing(key) === 'valid';
    });
    return [
      ...takenIds.map((id) => this.#describe(id, `segment_${id}`)),
      ...takenCodes.map((code) => this.#describe(madeUpId(code), code)),
    ];
  }

  #describe(id: number, code: string): Segment {
    const common = {
      state: 'active',
      expire_minutes: 30 * day,
      last_modified: '2025-01-15 09:00:00',
    } as const;
    return { ...common, id, code, short_name: `Not listed: ${code}`, member_id: this.member };
  }

  /** `(id, code, segment owner member id)` as the usage statistics write it; 0 for an id that is not known. */
  logForm(key: SegmentKey): string {
    const segment = this.listed(key);
    if (segment) return `(${segment.id}, '${segment.code}', ${segment.member_id})`;
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
