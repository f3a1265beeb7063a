// How many bytes a text has on the wire. The checks run in the editor too, where there is no Buffer.

const encoder = new TextEncoder();

/** UTF-8 bytes; a lone surrogate counts three, as it is replaced. */
export const utf8Bytes: (text: string) => number =
  typeof Buffer === 'undefined' ? (text) => encoder.encode(text).length : (text) => Buffer.byteLength(text);
