// Typed inputs of a segment builder: compiled once, evaluated together for each message or item; failures become
// issues.
import { isUnset } from './builder-config';
import { printable } from '../foreign-text';
import { type Issue, type IssueCode } from '../issues';
import { shorten, shortenThrown } from '../shorten';

/** The values that typed inputs refer to; `item` is undefined unless the source is `items`. */
export interface BuildContext {
  readonly message: Readonly<Record<string, unknown>>;
  readonly item: unknown;
}

/** A compiled typed input. May return a `Later`; an exception becomes an issue of its field. */
export type CompiledInput = (context: BuildContext) => unknown;

/** Compiles one typed input. @throws Error with a readable message for an unusable value */
export type ResolveProperty = (value: string, type: string) => CompiledInput;

/** An asynchronous value (of an expression or an asynchronous context store). */
export class Later {
  constructor(readonly value: Promise<unknown>) {}
}

/** One typed input, with the values for its sentences. */
export interface Input {
  readonly path: string;
  /** The input in the flow author's notation: `msg.payload.user`. */
  readonly source: string;
  readonly get: CompiledInput;
}

/** The value of an input that could not be evaluated. */
export class Failed {
  constructor(readonly reason: string) {}
}

/** The value of an input inside `msg.payload`, which is text: nothing has parsed it. */
class InsideText extends Failed {
  constructor() {
    super('msg.payload is text');
  }
}

/** All inputs of a builder, evaluated together, so that asynchronous ones run concurrently. */
export class Inputs {
  readonly list: Input[] = [];
  readonly issues: Issue[] = [];

  constructor(private readonly resolveProperty: ResolveProperty) {}

  /**
   * The slot (index) of an input, or null for an empty input.
   *
   * @param made what is read in place of the value
   */
  add(
    path: string,
    value: string,
    type: string,
    made: (get: CompiledInput) => CompiledInput = (get) => get,
  ): number | null {
    if (isUnset(value, type)) return null;
    const input = this.single(path, value, type);
    this.list.push({ ...input, get: made(input.get) });
    return this.list.length - 1;
  }

  single(path: string, value: string, type: string): Input {
    try {
      return { path, source: sourceOf(value, type), get: this.resolveProperty(value, type) };
    } catch (error) {
      this.issues.push({ code: 'config_invalid', path, params: { reason: reasonOf(error) } });
      return { path, source: '', get: () => undefined };
    }
  }

  evaluate(context: BuildContext): unknown[] | Promise<unknown[]> {
    const { list } = this;
    const values = new Array<unknown>(list.length);
    let someLater = false;
    for (let slot = 0; slot < list.length; slot++) {
      const value = evaluateInput(list[slot]!, context);
      values[slot] = value;
      if (value instanceof Later) someLater = true;
    }
    return someLater ? Promise.all(values.map(settle)) : values;
  }
}

export function evaluateInput(input: Input, context: BuildContext): unknown {
  try {
    const value = input.get(context);
    const isInside = value === undefined && input.source.startsWith('msg.payload.');
    return isInside && typeof context.message.payload === 'string' ? new InsideText() : value;
  } catch (error) {
    return new Failed(reasonOf(error));
  }
}

export function settle(value: unknown): unknown {
  return value instanceof Later ? value.value.catch((error: unknown) => new Failed(reasonOf(error))) : value;
}

function sourceOf(value: string, type: string): string {
  if (type === 'jsonata') return shortText(value);
  if (type === 'env') return `$\{${shortText(value)}}`;
  if (type === 'str' || type === 'num') return shorten(value);
  const path = value.startsWith('msg.') ? value.slice('msg.'.length) : value;
  return path === '' ? type : `${type}.${shortText(path)}`;
}

function shortText(text: string): string {
  return printable(text, 60);
}

function reasonOf(error: unknown): string {
  return shortText(shortenThrown(error));
}

export function issueOf(code: IssueCode, input: Input, params: Issue['params']): Issue {
  return { code, path: input.path, params: { source: input.source, ...params } };
}

export function failedIssue(input: Input, failed: Failed): Issue {
  if (failed instanceof InsideText) return issueOf('payload_is_text', input, {});
  return issueOf('not_evaluated', input, { reason: failed.reason });
}
