// Answers `GET /segment`: the list of segments, page by page (service.md 5).
import type { Catalogue, Segment } from './catalogue';
import { errorReply, jsonReply, type Reply } from './reply';

const maxElements = 100;

/**
 * Supports `start_element`, `num_elements` (silently limited to 100), `id` and `code` (several with commas; codes
 * without case), `search` (in code and name) and `state`. A single hit is returned under `segment`. A query by id or
 * code also finds unlisted segments that posts may change.
 */
export function listSegments(catalogue: Catalogue, query: URLSearchParams): Reply {
  const start = readCount(query.get('start_element'), 0);
  const requested = readCount(query.get('num_elements'), maxElements);
  if (start === null || requested === null) {
    return errorReply(400, 'SYNTAX', 'start_element and num_elements must be numbers of at least 0');
  }
  const listed = catalogue.segments.filter((segment) => matches(segment, query));
  const hits = [...listed, ...unlisted(catalogue, query)];
  const elements = Math.min(requested, maxElements);
  const page = hits.slice(start, start + elements);
  const term = hits.length === 1 && page.length === 1 ? 'segment' : 'segments';
  return jsonReply({
    response: {
      status: 'OK',
      count: hits.length,
      start_element: start,
      num_elements: elements,
      [term]: term === 'segment' ? page[0] : page,
      // Names the key of the objects for clients.
      dbg_info: { output_term: term },
    },
  });
}

/** Unlisted segments, for a query by id or code alone: a search or filter covers only listed segments. */
function unlisted(catalogue: Catalogue, query: URLSearchParams): Segment[] {
  const [ids, codes] = [query.get('id'), query.get('code')];
  if ((ids === null) === (codes === null) || query.has('search') || query.has('state')) return [];
  const requested = (ids ?? codes!).split(',').map((one) => one.trim());
  if (ids === null) return catalogue.unlisted([], [...new Set(requested)]);
  const numbers = requested.filter((id) => /^[1-9]\d{0,9}$/.test(id)).map(Number);
  return catalogue.unlisted([...new Set(numbers)], []);
}

function matches(segment: Segment, query: URLSearchParams): boolean {
  const ids = query.get('id');
  const codes = query.get('code');
  const state = query.get('state');
  const search = query.get('search')?.toLowerCase();
  if (ids !== null && !ids.split(',').some((id) => id.trim() === String(segment.id))) return false;
  if (
    codes !== null &&
    !codes
      .toLowerCase()
      .split(',')
      .includes(segment.code?.toLowerCase() ?? '')
  )
    return false;
  if (state !== null && state !== segment.state) return false;
  return (
    search === undefined ||
    `${segment.code ?? ''}\n${segment.short_name ?? ''}`.toLowerCase().includes(search)
  );
}

function readCount(text: string | null, otherwise: number): number | null {
  if (text === null) return otherwise;
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}
