// What can be wrong with an entry: a stable code, where, and the words for it.

/** One thing that is wrong, in a form that nodes can put into the editor's language. */
export interface Issue {
  readonly code: IssueCode;
  /** Where, in the flow author's terms: `seg_block[2].member_id`, `user_id`; '' for the whole. */
  readonly path: string;
  /** Values for the placeholders of the sentence, always shortened to a readable length. */
  readonly params: Readonly<Record<string, string | number>>;
}

/**
 * English sentences by code, with `__name__` placeholders as Node-RED's own words have them. `__path__` is
 * always available. The locales of the nodes translate them; a test holds the two together.
 */
export const issueSentences = {
  not_an_entry: '__path__ is __got__; expected an object with user_id and seg_block',
} as const satisfies Record<string, string>;

export type IssueCode = keyof typeof issueSentences;
