// Directory of the member's segments for the forms: read through an account, cached, searched.

import type {
  ReadFailure,
  ReadOutcome,
  SegmentList,
  SegmentQuery,
  Segment,
} from '../../../src/service/index';

/** Reads segments of one member; never rejects. */
export type ReadSegments = (query: SegmentQuery) => Promise<ReadOutcome<SegmentList>>;

interface SegmentPage {
  readonly segments: readonly Segment[];
  /** Total matches of the search; null when the service does not report it. */
  readonly total: number | null;
  /** Start of the next page; null after the last page. */
  readonly next: number | null;
}

export type SegmentSearch = { readonly kind: 'page'; readonly page: SegmentPage } | ReadFailure;

/** One member's segments. */
interface Shelf {
  readonly issuedMs: number;
  /** The first page of the whole list; it reports the length of the list. */
  readonly start: Promise<ReadOutcome<SegmentList>>;
  /** The whole list, once it is loaded. */
  whole: readonly Segment[] | null;
  /** Searches at the service, while the list is too long or not loaded yet. */
  readonly searches: Map<string, Promise<ReadOutcome<SegmentList>>>;
}

/** Segments in one answer. */
export const pageSize = 50;
/** One page of the service (service.md 5). */
const firstRead = 100;
const keptMs = 5 * 60_000;
/** The service searches longer lists itself: loading them would use too many reads of a minute. */
const mostKept = 2_000;
/** Most results of a search at the service; the user can narrow a longer result by typing more of the name. */
const mostFound = 500;
const mostShelves = 10;
const mostSearches = 50;

export class SegmentDirectory {
  readonly #shelves = new Map<string, Shelf>();

  /** Monotonic ms. */
  constructor(private readonly nowMs: () => number) {}

  /**
   * Segments whose code and name together hold every word of the search, or whose id begins with it, in a stable
   * order: those that are the search first, then those that begin with it; among equals by name, the inactive last.
   *
   * @param key names member and login; equal keys share what was read
   */
  async search(key: string, read: ReadSegments, words: string, start: number): Promise<SegmentSearch> {
    const shelf = this.#shelf(key, read);
    const first = await shelf.start;
    if (first.kind !== 'read') return this.#forget(key, shelf, first);
    const text = words.trim().toLowerCase();
    if (shelf.whole !== null) return pageOf(found(shelf.whole, text), start, null);
    // The first page of a list that is still loading: the next pages would be in another order.
    if (text === '' && first.value.segments.length >= pageSize) {
      const { segments, total } = first.value;
      return { kind: 'page', page: { segments: segments.slice(0, pageSize), total, next: null } };
    }
    const hits = await this.#searchThere(shelf, read, text);
    return hits.kind === 'read' ? pageOf(ordered(hits.value.segments, text), start, hits.value.total) : hits;
  }

  #shelf(key: string, read: ReadSegments): Shelf {
    const kept = this.#shelves.get(key);
    if (kept !== undefined && this.nowMs() - kept.issuedMs < keptMs) return kept;
    const shelf: Shelf = {
      issuedMs: this.nowMs(),
      start: read({ limit: firstRead }),
      whole: null,
      searches: new Map(),
    };
    this.#shelves.delete(key);
    putBounded(this.#shelves, key, shelf, mostShelves);
    void this.#fetchWhole(shelf, read);
    return shelf;
  }

  /** Loads the other pages in the background: a hundred pages take a while. */
  async #fetchWhole(shelf: Shelf, read: ReadSegments): Promise<void> {
    const first = await shelf.start;
    if (first.kind !== 'read') return;
    const { segments, total } = first.value;
    if (total === null ? segments.length < firstRead : total <= segments.length) {
      shelf.whole = segments;
      return;
    }
    if (total === null || total > mostKept) return;
    const all = await read({ limit: mostKept });
    if (all.kind === 'read') shelf.whole = all.value.segments;
  }

  /** The service searches by name and code; digits may also be an id. */
  async #searchThere(shelf: Shelf, read: ReadSegments, text: string): Promise<ReadOutcome<SegmentList>> {
    const asked = shelf.searches.get(text);
    if (asked !== undefined) return asked;
    const answer = searchAtService(read, text);
    putBounded(shelf.searches, text, answer, mostSearches);
    const outcome = await answer;
    if (outcome.kind !== 'read') shelf.searches.delete(text);
    return outcome;
  }

  /** Failures are not cached. */
  #forget(key: string, shelf: Shelf, failure: ReadFailure): ReadFailure {
    if (this.#shelves.get(key) === shelf) this.#shelves.delete(key);
    return failure;
  }
}

async function searchAtService(read: ReadSegments, text: string): Promise<ReadOutcome<SegmentList>> {
  const byText = await read(text === '' ? { limit: mostFound } : { search: text, limit: mostFound });
  if (byText.kind !== 'read' || !/^[1-9]\d{0,14}$/.test(text)) return byText;
  const byId = await read({ ids: [Number(text)], limit: 1 });
  if (byId.kind !== 'read') return byText;
  const others = byText.value.segments.filter(({ id }) => id !== byId.value.segments[0]?.id);
  const { total } = byText.value;
  const segments = [...byId.value.segments, ...others];
  return {
    kind: 'read',
    value: { segments, total: total === null ? null : Math.max(total, segments.length) },
  };
}

function found(segments: readonly Segment[], text: string): readonly Segment[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const fits = segments.filter((segment) => {
    const { id, code, name } = textsOf(segment);
    // Digits inside an id are no match: a search for 42 does not mean 10042.
    return words.every((word) => id.startsWith(word) || code.includes(word) || name.includes(word));
  });
  return ordered(fits, text);
}

/** Order: the best matches, then active ones, then by name, with 42 before 141. */
function ordered(segments: readonly Segment[], text: string): readonly Segment[] {
  const ranks = new Map(segments.map((segment) => [segment, rankOf(segment, text)]));
  return [...segments].sort(
    (a, b) =>
      ranks.get(a)! - ranks.get(b)! ||
      Number(a.state === 'inactive') - Number(b.state === 'inactive') ||
      byName.compare(nameOf(a), nameOf(b)) ||
      a.id - b.id,
  );
}

function nameOf({ shortName, code }: Segment): string {
  return shortName ?? code ?? '';
}

const byName = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/** 0: the search is its whole id, code or name; 1: one of them begins with it; 2: code or name hold it; 3: word by word. */
function rankOf(segment: Segment, text: string): number {
  // An empty search: a segment without a code or a name ranks like the others.
  if (text === '') return 0;
  const texts = Object.values(textsOf(segment));
  if (texts.includes(text)) return 0;
  if (texts.some((one) => one.startsWith(text))) return 1;
  return texts.some((one) => one.includes(text)) ? 2 : 3;
}

function textsOf({ id, code, shortName }: Segment): { id: string; code: string; name: string } {
  return { id: String(id), code: (code ?? '').toLowerCase(), name: (shortName ?? '').trim().toLowerCase() };
}

function pageOf(hits: readonly Segment[], start: number, total: number | null): SegmentSearch {
  const segments = hits.slice(start, start + pageSize);
  const end = start + segments.length;
  const page = { segments, total: total ?? hits.length, next: end < hits.length ? end : null };
  return { kind: 'page', page };
}

/** Removes the oldest first. */
function putBounded<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  if (map.size >= most) map.delete(map.keys().next().value!);
  map.set(key, value);
}
