// Length of a text in UTF-8. Also used in the editor, which has no Buffer.

const encoder = new TextEncoder();

/** Number of UTF-8 bytes; 3 for a lone surrogate, which the encoding replaces. */
export const utf8Bytes: (text: string) => number =
  typeof Buffer === 'undefined' ? (text) => encoder.encode(text).length : (text) => Buffer.byteLength(text);
