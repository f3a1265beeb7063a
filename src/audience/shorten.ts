// Values of others in few words, for sentences: by their type and size only, and always printable.
import { printable } from './foreign-text';

const readableLength = 48;
const thrownLength = 1_000;
/** Writing a number in digits takes more than linear time, so that one of any length is not written at all. */
const widestBigint = 10n ** BigInt(readableLength);

/** A value in few words, for a sentence: `"abc"`, `1.5`, `array[3]`, `object`. Looks at its type and size only. */
export function shorten(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return shortenText(value);
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'bigint':
      return value < widestBigint && value > -widestBigint ? String(value) : 'bigint';
    case 'object':
      return shortenObject(value);
    case 'symbol':
    case 'function':
      return typeof value;
  }
}

/** What was thrown, in its own words: a getter in a message may throw anything, and that may have such getters too. */
export function shortenThrown(thrown: unknown): string {
  try {
    // JSONata throws plain objects with a message.
    const message = (thrown as { readonly message?: unknown } | null | undefined)?.message;
    return typeof message === 'string' ? printable(message, thrownLength) : shorten(thrown);
  } catch {
    return 'an error that cannot be read';
  }
}

function shortenText(text: string): string {
  if (text.length <= readableLength) return quoted(text);
  return `${quoted(text.slice(0, readableLength))}… (${text.length})`;
}

/** As JSON writes it, where it leaves some of what is unprintable as it is. */
function quoted(text: string): string {
  return printable(JSON.stringify(text), 6 * readableLength + 2);
}

function shortenObject(value: object | null): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `array[${value.length}]`;
  if (ArrayBuffer.isView(value)) return `Buffer[${value.byteLength}]`;
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
  return printable(tag, readableLength).toLowerCase();
}
