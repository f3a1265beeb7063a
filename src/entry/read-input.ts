// Reads the entries of a message: one entry, an array of entries, or the service's own {rt_segment: […]}.
import { type Issue, type IssueCode } from './issues';
import { shorten } from './shorten';

/**
 * Limit of entries in one message. Each entry gets its own outcome, so an endless list of holes would fill the memory.
 */
export const maxEntries = 1_000_000;

export type ReadResult =
  | { readonly ok: true; readonly entries: readonly unknown[] }
  | { readonly ok: false; readonly issue: Issue };

/**
 * The unchecked entries of `payload`, in order. Ignores a `domain` beside `rt_segment`, which occurs in the service's
 * own samples and has no meaning (service.md 3.1).
 *
 * @param path name of the property, for the sentences
 */
export function readEntries(payload: unknown, path = 'msg.payload'): ReadResult {
  if (Array.isArray(payload)) return readList(payload, path, 'input_empty');
  if (typeof payload !== 'object' || payload === null) return refusePrimitive(payload, path);
  if (ArrayBuffer.isView(payload)) return refuse('input_buffer', path, payload.byteLength);
  if (Object.hasOwn(payload, 'rt_segment')) return readEnvelope(payload as Record<string, unknown>, path);
  return { ok: true, entries: [payload] };
}

function readEnvelope(envelope: Record<string, unknown>, path: string): ReadResult {
  for (const key of ['user_id', 'seg_block']) {
    if (Object.hasOwn(envelope, key)) return refuse('rt_segment_mixed', path, key);
  }
  const entries = envelope.rt_segment;
  if (!Array.isArray(entries)) return refuse('rt_segment_type', `${path}.rt_segment`, shorten(entries));
  return readList(entries, `${path}.rt_segment`, 'rt_segment_empty');
}

function readList(entries: readonly unknown[], path: string, ifEmpty: IssueCode): ReadResult {
  if (entries.length === 0) return refuse(ifEmpty, path);
  if (entries.length <= maxEntries) return { ok: true, entries };
  const params = { got: entries.length, max: maxEntries };
  return { ok: false, issue: { code: 'input_too_many', path, params } };
}

function refusePrimitive(payload: unknown, path: string): ReadResult {
  if (payload === undefined) return refuse('input_missing', path);
  if (payload === null) return refuse('input_null', path);
  switch (typeof payload) {
    case 'string':
      return looksLikeJson(payload)
        ? refuse('input_json_text', path)
        : refuse('input_text', path, shorten(payload));
    case 'number':
      return refuse('input_number', path, shorten(payload));
    case 'boolean':
      return refuse('input_boolean', path, shorten(payload));
    default:
      return refuse('input_other', path, shorten(payload));
  }
}

/** Looks only at the first and last character: parsing megabytes just for a better sentence would be a waste. */
function looksLikeJson(text: string): boolean {
  const trimmed = text.trim();
  const ends = trimmed.charAt(0) + trimmed.charAt(trimmed.length - 1);
  return ends === '{}' || ends === '[]';
}

function refuse(code: IssueCode, path: string, got?: string | number): ReadResult {
  return { ok: false, issue: { code, path, params: got === undefined ? {} : { got } } };
}
