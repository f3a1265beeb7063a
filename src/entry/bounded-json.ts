// JSON of any value up to a length, without first building the text of a larger value.

/**
 * The value as JSON, or null if it is longer than `maxChars`, or cannot be written (too deep, a getter that throws).
 * Functions and circular references are left out; big integers become text. Calls no `toJSON` of the value.
 */
export function boundedJson(value: unknown, maxChars: number): string | null {
  try {
    const text = JSON.stringify(new Copy(maxChars).of(value)) as string | undefined;
    return text === undefined || text.length > maxChars ? null : text;
  } catch {
    return null;
  }
}

const widestBigint = 10n ** 1000n;

/** Copies plain data; throws as soon as its JSON would exceed the length. */
class Copy {
  /** The objects that contain the current value, to recognise circular references. */
  readonly #ancestors = new Set<object>();
  #charsLeft: number;

  constructor(maxChars: number) {
    this.#charsLeft = maxChars;
  }

  of(value: unknown): unknown {
    if (typeof value === 'function') return undefined;
    if (typeof value === 'bigint') return this.#bigint(value);
    this.#take(typeof value === 'string' ? value.length + 2 : 1);
    if (typeof value !== 'object' || value === null) return value;
    return this.#ancestors.has(value) ? undefined : this.#ofObject(value);
  }

  #ofObject(value: object): unknown {
    const tag = Object.prototype.toString.call(value);
    if (tag === '[object Date]') return (value as Date).toJSON();
    // A boxed text has a key for each character, which would be slow to list.
    if (tag === '[object String]') return this.of(String.prototype.valueOf.call(value));
    if (ArrayBuffer.isView(value)) this.#take(2 * value.byteLength);
    if (Buffer.isBuffer(value)) return value.toJSON();
    this.#ancestors.add(value);
    const copy = Array.isArray(value) ? this.#ofList(value) : this.#ofKeys(value as Record<string, unknown>);
    this.#ancestors.delete(value);
    return copy;
  }

  #ofList(list: readonly unknown[]): unknown[] {
    // One comma for each element, holes included.
    this.#take(list.length);
    return Array.from(list, (each) => this.of(each));
  }

  #ofKeys(value: Readonly<Record<string, unknown>>): unknown {
    const entries: [string, unknown][] = [];
    for (const key in value) {
      if (!Object.hasOwn(value, key)) continue;
      this.#take(key.length + 3);
      entries.push([key, this.of(value[key])]);
    }
    return Object.fromEntries(entries);
  }

  /** Refuses very long integers, since writing one takes more than linear time. */
  #bigint(value: bigint): unknown {
    if (value >= widestBigint || value <= -widestBigint) throw new RangeError('too large');
    return this.of(String(value));
  }

  #take(chars: number): void {
    this.#charsLeft -= chars;
    if (this.#charsLeft < 0) throw new RangeError('too large');
  }
}
