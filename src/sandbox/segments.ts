// Answers `GET /segment`: the list of segments, page by page; and `POST /segment`: makes a segment while the sandbox
// runs (service.md 5).
import { z } from 'zod';
import { serviceTime, type Catalogue, type Segment } from './catalogue';
import { errorReply, isObject, jsonReply, parseJson, type Reply } from './wire';

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

/** Bounds memory for a flow that makes segments endlessly. */
const maxMade = 10_000;

const madeSchema = z.object({
  code: z.string().min(1).max(50).nullish(),
  short_name: z.string().max(255).nullish(),
  state: z.enum(['active', 'inactive']).nullish(),
  expire_minutes: z.int().min(0).nullish(),
  member_id: z.int().nullish(),
});

/** Makes a segment from `{"segment":{…}}`. A member, in the body or the query, must be the sandbox's own. */
export function makeSegment(
  catalogue: Catalogue,
  query: URLSearchParams,
  body: string,
  nowWallMs: number,
): Reply {
  const root = parseJson(body);
  const read = madeSchema.safeParse(isObject(root) ? root.segment : undefined);
  if (!read.success) return errorReply(400, 'SYNTAX', `segment is not valid: ${z.prettifyError(read.error)}`);
  const { code = null, short_name = null, state, expire_minutes = null, member_id } = read.data;
  const members = [query.get('member_id'), member_id].filter((one) => one !== null && one !== undefined);
  if (members.some((one) => Number(one) !== catalogue.member))
    return errorReply(200, 'UNAUTH', 'You may not make segments of another member');
  if (code !== null && typeof catalogue.keyOfCode(catalogue.member, code) === 'number')
    return errorReply(200, 'INTEGRITY', `There is a segment with the code ${code}`);
  if (catalogue.made.length >= maxMade)
    return errorReply(200, 'LIMIT', `There are ${maxMade} segments; no more can be made`);
  const made: Segment = {
    id: catalogue.nextId,
    code,
    short_name,
    state: state ?? 'active',
    member_id: catalogue.member,
    expire_minutes,
    last_modified: serviceTime(nowWallMs),
  };
  catalogue.make(made);
  return jsonReply({
    response: {
      status: 'OK',
      id: made.id,
      count: 1,
      start_element: 0,
      num_elements: 100,
      segment: { ...fixedFields, ...made },
      dbg_info: { output_term: 'segment' },
    },
  });
}

/** Further fields of the documented reply, which the sandbox never changes. */
const fixedFields = {
  object_type: 'default',
  advertiser_id: null,
  enable_rm_piggyback: true,
  querystring_mapping_key_value: null,
  category: null,
  provider: null,
  parent_segment_id: null,
  querystring_mapping: null,
  max_usersync_pixels: null,
  description: null,
  piggyback_pixels: null,
};
