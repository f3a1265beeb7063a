// Issues of entries, messages and builders: stable codes and their English sentences.

/** One fault, with a stable code, its place, and values for a sentence in any language. */
export interface Issue {
  readonly code: IssueCode;
  /** The place, such as `seg_block[2].member_id` or `user_id`; '' for the whole. */
  readonly path: string;
  /** Values for the placeholders of the sentence, always printable and short. */
  readonly params: Readonly<Record<string, string | number>>;
}

/** An issue without its place, which the caller adds. */
export type Problem = Omit<Issue, 'path'>;

/** Sentences for an entry (service.md 3.1, 3.2 and 6). `__path__` is always available. */
export const entrySentences = {
  not_an_entry: 'This is __got__; expected an object with user_id and seg_block',
  unreadable: 'This could not be read: __reason__',
  unknown_key:
    '__path__ is not a field of this version (fields: __known__); leave it out, or tick Unknown fields in the instant audience out node',
  unknown_too_long: 'Unknown fields may have at most __max__ characters in total',
  misspelt_key: '__path__ is not a key of the service and would be ignored; did you mean __meant__?',
  text_type: '__path__ is __got__; pass a string',
  text_empty: '__path__ is an empty string; give it a value or leave it out',
  text_white_space: '__path__ __got__ starts or ends with whitespace, which would be sent, too; remove it',
  text_broken:
    '__path__ __got__ contains half of a character (a lone surrogate) and cannot be sent; it was probably cut or decoded wrongly',
  text_too_long: '__path__ has __got__ characters; at most __max__ are allowed',
  user_id_missing: 'user_id is missing or empty; pass the user’s ID as a string',
  user_id_type: 'user_id is __got__; pass the user’s ID as a string',
  user_id_digits_lost:
    'user_id is the number __got__, which is beyond 2^53−1: its last digits are already wrong. Pass the ID as a string (in JSON: in quotes)',
  user_id_not_whole: 'user_id is the number __got__; an ID has only digits. Pass the ID as a string',
  user_id_zero: 'user_id is 0, which stands for an opted-out user or a missing cookie; no user can be added',
  user_id_all_zero:
    'user_id __got__ is all zeros, which a device reports when tracking is limited; no user can be added',
  user_id_not_uuid:
    'user_id is __got__; the domain __domain__ needs a UUID such as 1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13',
  user_id_not_hex: 'user_id is __got__; the domain __domain__ needs exactly __digits__ hexadecimal digits',
  domain_type:
    'domain is __got__; pass a string such as "idfa", or null for the platform’s own and mapped IDs',
  domain_empty:
    'domain is an empty string; pass null (or leave it out) for the platform’s own and mapped IDs',
  domain_retired: 'domain __got__ was retired by the service in 2019; use another kind of ID',
  domain_case: 'domain is __got__; write it as "__meant__"',
  domain_unknown:
    'domain __got__ is not one of __known__; if the service has agreed to another one with you, allow a custom domain',
  custom_domain_type: 'custom_domain is __got__; pass true or false',
  event_time_type:
    'event_time is __got__; pass milliseconds since 1970 as a number, or an ISO 8601 text such as 2026-01-31T12:00:00Z',
  event_time_invalid:
    'event_time __got__ is not a valid time; pass milliseconds since 1970 as a number, or an ISO 8601 text such as 2026-01-31T12:00:00Z',
  event_time_no_zone: 'event_time __got__ has no time zone; end it with Z or an offset such as +01:00',
  event_time_unit:
    'event_time __got__ does not look like milliseconds since 1970 (today has 13 digits); convert seconds, micro- or nanoseconds first',
  seg_block_missing: 'seg_block is missing; pass an array with a segment in it',
  seg_block_type: 'seg_block is __got__; pass an array of segments',
  seg_block_empty: 'seg_block is empty; name at least one segment',
  seg_block_too_long:
    'seg_block has __got__ segments; at most __max__ are allowed in one entry. Split it into several entries',
  block_type: '__path__ is __got__; expected an object with seg_id, or with seg_code and member_id',
  segment_missing: '__path__ names no segment; pass seg_id, or seg_code with member_id',
  segment_twice: '__path__ has both seg_id and seg_code; name the segment by one of them',
  member_id_missing:
    '__path__ has seg_code without member_id; pass the ID of the member that owns the segment',
  seg_code_missing: '__path__ has member_id without seg_code; pass the segment’s code, or seg_id alone',
  number_as_text: '__path__ is the text __got__; pass a number (without quotes)',
  number_type: '__path__ is __got__; pass a whole number',
  number_range: '__path__ is __got__; allowed are whole numbers from __min__ to __max__',
  expiration_range:
    '__path__ is __got__; allowed are whole minutes from 1 to __max__, 0 (never expires) and -1 (removes the user)',
} as const satisfies Record<string, string>;

/** Sentences for the payload of a message; `__path__` is the property. */
export const inputSentences = {
  input_missing: '__path__ does not exist; expected an entry, an array of entries or {rt_segment: […]}',
  input_null: '__path__ is null; expected an entry, an array of entries or {rt_segment: […]}',
  input_json_text: '__path__ is JSON text, not yet an object; put a JSON node before this one',
  input_text: '__path__ is the text __got__; expected an entry, an array of entries or {rt_segment: […]}',
  input_number: '__path__ is the number __got__; expected an entry, an array of entries or {rt_segment: […]}',
  input_boolean: '__path__ is __got__; expected an entry, an array of entries or {rt_segment: […]}',
  input_buffer:
    '__path__ is a Buffer of __got__ bytes; turn it into text and put a JSON node before this one',
  input_other: '__path__ is __got__; expected an entry, an array of entries or {rt_segment: […]}',
  input_empty: '__path__ is an empty array; there is nothing to send',
  input_too_many:
    '__path__ has __got__ entries; at most __max__ are allowed in one message. Split it into several messages',
  rt_segment_type: '__path__ is __got__; expected an array of entries',
  rt_segment_empty: '__path__ is an empty array; there is nothing to send',
  rt_segment_mixed: '__path__ has both rt_segment and __got__; put every entry into rt_segment',
} as const satisfies Record<string, string>;

/** Sentences for a builder's saved properties, and for their values in a message. */
export const builderSentences = {
  config_invalid: '__path__ cannot be used: __reason__',
  items_not_array:
    '__path__: __source__ is __got__; expected an array of items (a database result, for example)',
  items_too_many:
    '__path__: __source__ has __got__ items; at most __max__ are allowed in one message. Split it into several messages',
  nothing_there:
    '__path__: __source__ has no value (undefined); check its spelling, or pass null to leave the key out',
  payload_is_text: '__path__: msg.payload is text, so __source__ has no value; parse it with a json node',
  not_evaluated: '__path__: __source__ could not be evaluated: __reason__',
  action_unknown: '__path__: __source__ is __got__; expected add or remove, true or false, 1 or 0',
  consent_unknown:
    '__path__: __source__ is __got__; expected yes or no, true or false, 1 or 0, or a TC string (TCF version 2)',
  consent_broken:
    '__path__: __source__ is __got__, which cannot be read as a TC string (TCF version 2); pass the whole string, unchanged',
  consent_too_long: '__path__: __source__ has __got__ characters; a TC string has at most __max__',
  no_consent: '__path__: __source__ gives no consent; nothing was built for this user',
} as const satisfies Record<string, string>;

/** English sentences by code, with placeholders `__name__` as in Node-RED's catalogues. */
export const issueSentences = { ...entrySentences, ...inputSentences, ...builderSentences } as const;

export type IssueCode = keyof typeof issueSentences;

/** The issue as an English sentence. */
export function sentence(issue: Issue): string {
  return filledIn(issueSentences[issue.code], issue);
}

/** Fills in the placeholders, in one pass, so that a value which looks like a placeholder stays unchanged. */
export function filledIn(text: string, issue: Issue): string {
  return text.replace(/__([a-z]+)__/g, (placeholder, name: string) =>
    name === 'path' ? issue.path : String(issue.params[name] ?? placeholder),
  );
}
