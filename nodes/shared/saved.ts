// Reader of a node's saved properties by its schema, for the runtime, the form and the preview.
//
// They come from the form or from a flow file, so any of them may be missing or of another type. Before Node-RED makes
// a node it puts the values of `${NAME}` in place, those of a subflow and a group included. A remaining `${NAME}`
// names an unset variable, or in the form one that only the runtime can resolve.
import { toDotPath } from 'zod/v4/core';
import * as z from 'zod/mini';
import { printable, shorten } from '../../src/entry/index';
import { joinSentences, textOr, type Words } from './words';

/** Properties as Node-RED hands them over. */
export type Saved = Readonly<Record<string, unknown>>;

/** The problem of one property; its sentence is in the node's catalogue, by the code. */
export interface Problem {
  /** Such as `completeOn` or `segments[0].member`. */
  readonly path: string;
  readonly code: string;
  readonly params: Readonly<Record<string, string | number>>;
}

export type Reading<T> =
  | { readonly ok: true; readonly settings: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** A schema of this helper's fields. */
export type Schema<T> = z.ZodMiniType<T>;

/** Why a field refuses its value. */
export class Refused {
  constructor(
    readonly code: string,
    readonly params: Problem['params'] = {},
  ) {}
}

/** The code of a variable without a value; params: `name`. */
export const variableUnset = 'variable_unset';

/** Reads everything; every problem, in the order of the schema. */
export function readSaved<T>(schema: Schema<T>, saved: unknown): Reading<T> {
  // A schema is made for what it reads: to compile it would take longer than to read by it.
  const { data, error } = z.safeParse(schema, saved, { jitless: true });
  if (error === undefined) return { ok: true, settings: data };
  const problems = error.issues.map((issue) => ({
    path: toDotPath(issue.path),
    code: issue.message,
    params: issue.code === 'custom' ? ((issue.params ?? {}) as Problem['params']) : {},
  }));
  return { ok: false, problems };
}

/** The problems that the form can find: a variable may have any value there. */
export function problemsInForm(schema: Schema<unknown>, values: unknown): readonly Problem[] {
  const reading = readSaved(schema, values);
  return reading.ok ? [] : reading.problems.filter(({ code }) => code !== variableUnset);
}

/** The problem as a sentence of the node's words; `prefix` is where they are, `label` names the field. */
export function problemText(
  words: Words,
  prefix: string,
  { path, code, params }: Problem,
  label: (property: string) => string = (property) => words._(`label.${property}`),
): string {
  // The type of a typed input is no field of its own.
  const named = { ...params, field: label(path.replace(/Type$/, '')) };
  return textOr(words, `${prefix}.${code}`, named, () => `${named.field}: ${code}`);
}

/** All problems in one text, of the node's words below `invalid`. */
export function problemsText(words: Words, problems: readonly Problem[]): string {
  return joinSentences(problems.map((problem) => problemText(words, 'invalid', problem)));
}

/** What the editor shows, and sends, in place of a stored password. */
export const storedPassword = '__PWRD__';

/** The name, where the value is nothing but `${NAME}` or `$(NAME)`; else null. */
export function variableIn(value: unknown): string | null {
  const found = typeof value === 'string' ? /^\s*\$(?:\{(\S+)\}|\((\S+)\))\s*$/.exec(value) : null;
  return found === null ? null : (found[1] ?? found[2]!);
}

// ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** @param missing what a property that is not saved means */
export function field<T>(missing: T | Refused, read: (value: unknown) => T | Refused): Schema<T> {
  return z.transform((value: unknown, context): T => {
    const name = variableIn(value);
    const found =
      value === undefined || value === null
        ? missing
        : name !== null
          ? new Refused(variableUnset, { name: printable(name, 100) })
          : read(value);
    if (!(found instanceof Refused)) return found;
    context.issues.push({ code: 'custom', message: found.code, params: found.params, input: value });
    return z.NEVER;
  });
}

/**
 * A list of rows whose fields depend on each other. A row that is no object has the code `row`; an empty list has `empty`.
 * @param missing what a list that is not saved means
 */
export function rows<T>(
  schemaOf: (row: Saved) => Schema<T>,
  empty: string,
  missing: readonly T[],
): Schema<T[]> {
  return z.transform((saved: unknown, context): T[] => {
    const value = saved ?? missing;
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    if (list.length === 0) context.issues.push({ code: 'custom', message: empty, input: value });
    return list.flatMap((each, index) => {
      const isRow = typeof each === 'object' && each !== null && !Array.isArray(each);
      if (!isRow) context.issues.push({ code: 'custom', message: 'row', path: [index], input: each });
      if (!isRow) return [];
      const { data, error } = z.safeParse(schemaOf(each as Saved), each, { jitless: true });
      for (const issue of error?.issues ?? [])
        context.issues.push({
          ...issue,
          path: [index, ...issue.path],
          input: each,
        } as (typeof context.issues)[number]);
      return error === undefined ? [data] : [];
    });
  });
}

/** A field without effect, given the others: its value is `otherwise`. */
export function onlyIf<T>(used: boolean, schema: Schema<T>, otherwise: T): Schema<T> {
  return used ? schema : z.transform(() => otherwise);
}

/** One of several texts; code `choice`. */
export function choice<const T extends string>(known: readonly T[], missing: T, code = 'choice'): Schema<T> {
  return field<T>(missing, (value) => {
    const text = plainText(value);
    return (
      known.find((each) => each === text) ??
      new Refused(code, { got: shorten(value), known: known.join(', ') })
    );
  });
}

const yes: readonly string[] = ['true', 'yes', 'on', '1'];
const no: readonly string[] = ['false', 'no', 'off', '0'];

/** A clear yes or no, also as a variable's text or a number; code `flag`. `whyNot` refuses a yes. */
export function flag(missing: boolean, code = 'flag', whyNot: Refused | null = null): Schema<boolean> {
  return field<boolean>(missing, (value) => {
    const text = plainText(value)?.toLowerCase() ?? '';
    if (yes.includes(text)) return whyNot ?? true;
    return no.includes(text) ? false : new Refused(code, { got: shorten(value) });
  });
}

/** A whole number; code `range`. */
export function whole(
  range: { readonly min: number; readonly max: number },
  missing: number,
  code = 'range',
): Schema<number> {
  return field<number>(missing, (value) => {
    const text = plainText(value) ?? '';
    const number = Number(text);
    return /^\d+$/.test(text) && number >= range.min && number <= range.max
      ? number
      : new Refused(code, range);
  });
}

/** A text without the blanks around it, which values of variables bring from files; code `text`. */
export function text(
  missing: string | Refused,
  check: (text: string) => Refused | null = () => null,
  code = 'text',
): Schema<string> {
  return field<string>(missing, (value) => {
    const found = plainText(value);
    return found === null ? new Refused(code, { got: shorten(value) }) : (check(found) ?? found);
  });
}

/** Of a text, a number, a yes or no; else null. */
export function plainText(value: unknown): string | null {
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}
