// Answers `POST /segment`: makes a segment while the sandbox runs (service.md 5).
import { z } from 'zod';
import { serviceTime, type Catalogue, type Segment } from './catalogue';
import { isObject, parseJson } from './json';
import { errorReply, jsonReply, type Reply } from './reply';

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
