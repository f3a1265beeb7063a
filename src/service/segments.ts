// Reads the list of segments page by page (service.md 5).
import type { ReadOutcome } from './reply/outcome';
import { segmentPageSchema, type Segment, type SegmentPage } from './reply/schemas';

export interface SegmentQuery {
  /** Only segments with these ids; an empty list matches none. */
  readonly ids?: readonly number[];
  readonly code?: string;
  /** Part of a name or code. */
  readonly search?: string;
  readonly state?: 'active' | 'inactive';
  /** Number of segments to skip. */
  readonly start?: number;
  /** Maximum number of segments; all when absent. */
  readonly limit?: number;
}

export interface SegmentList {
  readonly segments: readonly Segment[];
  /** Number of segments that match the query; null when the reply has no count. */
  readonly total: number | null;
}

/** The service silently cuts larger pages to this size. */
const PAGE_SIZE = 100;

export function segmentQueryString(query: SegmentQuery, start: number, size: number): string {
  const { ids, code, search, state } = query;
  const params = { id: ids?.join(','), code, search, state, start_element: start, num_elements: size };
  const given = Object.entries(params).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return `?${new URLSearchParams(given).toString()}`;
}

/** Null for a reply that is not a list of segments. */
export function parseSegmentPage(json: unknown): SegmentPage | null {
  const read = segmentPageSchema.safeParse(json);
  return read.success ? read.data : null;
}

/**
 * Reads pages up to the end of the list, or `limit`. A failed page fails the whole read, since half a list would look
 * complete. A segment that appears on two pages is listed once.
 *
 * @param readPage reads the page for a query string
 */
export async function readSegments(
  query: SegmentQuery,
  readPage: (queryString: string) => Promise<ReadOutcome<SegmentPage>>,
): Promise<ReadOutcome<SegmentList>> {
  if (query.ids?.length === 0) return { kind: 'read', value: { segments: [], total: 0 } };
  const first = query.start ?? 0;
  const end = first + (query.limit ?? Infinity);
  const segments = new Map<number, Segment>();
  let total: number | null = null;
  for (let start = first; start < end;) {
    const size = Math.min(PAGE_SIZE, end - start);
    const page = await readPage(segmentQueryString(query, start, size));
    if (page.kind !== 'read') return page;
    for (const segment of page.value.segments) segments.set(segment.id, segment);
    total = page.value.count ?? total;
    start += page.value.received;
    const isLast = total === null ? page.value.received < size : start >= total;
    if (isLast || page.value.received === 0) break;
  }
  return { kind: 'read', value: { segments: [...segments.values()], total } };
}
