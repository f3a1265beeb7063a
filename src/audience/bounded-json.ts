// JSON text of anything that a flow holds, up to a length: what is larger is given up early, whatever its form.

/**
 * The value as JSON, or null when that would be longer than `most` characters, or cannot be made (too deep, a getter
 * that throws). What JSON cannot hold is left out (functions, what refers to itself) or written as text (big integers).
 */
export function boundedJson(value: unknown, most: number): string | null {
  try {
    const text = JSON.stringify(new Copy(most).of(value)) as string | undefined;
    return text === undefined || text.length > most ? null : text;
  } catch {
    return null;
  }
}

const widestBigint = 10n ** 1000n;

/** A copy of plain data that stops before it takes more room than it may. */
class Copy {
  readonly #above = new Set<object>();
  #room: number;

  constructor(most: number) {
    this.#room = most;
  }

  of(value: unknown): unknown {
    if (typeof value === 'function') return undefined;
    if (typeof value === 'bigint') return this.#bigint(value);
    this.#take(typeof value === 'string' ? value.length + 2 : 1);
    if (typeof value !== 'object' || value === null) return value;
    return this.#above.has(value) ? undefined : this.#ofObject(value);
  }

  #ofObject(value: object): unknown {
    const tag = Object.prototype.toString.call(value);
    if (tag === '[object Date]') return (value as Date).toJSON();
    // Listing its keys, one for each character, would take longer than the text is worth.
    if (tag === '[object String]') return this.of(String.prototype.valueOf.call(value));
    if (ArrayBuffer.isView(value)) this.#take(2 * value.byteLength);
    if (Buffer.isBuffer(value)) return value.toJSON();
    this.#above.add(value);
    const copy = Array.isArray(value) ? this.#ofList(value) : this.#ofKeys(value as Record<string, unknown>);
    this.#above.delete(value);
    return copy;
  }

  #ofList(list: readonly unknown[]): unknown[] {
    // Each element has a comma, a hole too.
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

  /** One of any length takes more than linear time to write. */
  #bigint(value: bigint): unknown {
    if (value >= widestBigint || value <= -widestBigint) throw new RangeError('too large');
    return this.of(String(value));
  }

  #take(chars: number): void {
    this.#room -= chars;
    if (this.#room < 0) throw new RangeError('too large');
  }
}
