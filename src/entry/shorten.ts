// Describes foreign values briefly, for sentences: always printable and short.
import { printable } from './foreign-text';

const readableLength = 48;
const thrownLength = 1_000;
/** A longer integer is not written, since its digits take more than linear time. */
const widestBigint = 10n ** BigInt(readableLength);

/** A short form of a value: `"abc"`, `1.5`, `array[3]`, `object`. Reads no elements or fields of objects. */
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

/** The message of an exception. Getters in a message may throw any value, which may itself have getters that throw. */
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

/** The text in JSON quotes. JSON escapes only some unprintable characters, so `printable` escapes the others. */
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
