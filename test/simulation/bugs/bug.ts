// Bug: breaks one promise by wrapping or replacing a part, and can be removed again.

export interface Bug {
  readonly name: string;
  /** Puts the bug in. Returns a function that removes it. */
  readonly putIn: () => () => void;
}

let inPlace: string | null = null;

/** The name of the bug that is currently in place. */
export function bugInPlace(): string | null {
  return inPlace;
}

type Methods = Record<string, (...args: never[]) => unknown>;
/** Gives access to private fields, which bugs break. */
export type Inside = Record<string, any>;

/** Replacement of a method: `this` is the object, `original` the method of that object. */
type Instead = (this: Inside, original: (...args: any[]) => any, ...args: any[]) => unknown;

/** Replaces a method by `instead`. */
export function replaced(part: { readonly prototype: object }, method: string, instead: Instead): () => void {
  const methods = part.prototype as Methods;
  const own = Object.getOwnPropertyDescriptor(methods, method);
  if (own === undefined || typeof own.value !== 'function')
    throw new Error(`there is no method ${method} to break`);
  const original = own.value as (...args: unknown[]) => unknown;
  const value = function (this: Inside, ...args: unknown[]): unknown {
    return instead.call(this, original.bind(this), ...args);
  };
  Object.defineProperty(methods, method, { ...own, value });
  return () => Object.defineProperty(methods, method, own);
}

/** The same for a getter. */
export function replacedGetter(
  part: { readonly prototype: object },
  name: string,
  get: (this: Inside) => unknown,
): () => void {
  const own = Object.getOwnPropertyDescriptor(part.prototype, name);
  if (own?.get === undefined) throw new Error(`there is no getter ${name} to break`);
  Object.defineProperty(part.prototype, name, { ...own, get });
  return () => Object.defineProperty(part.prototype, name, own);
}

export function bug(name: string, putIn: () => (() => void) | readonly (() => void)[]): Bug {
  return {
    name,
    putIn: () => {
      const takeOut = putIn();
      inPlace = name;
      return () => {
        inPlace = null;
        for (const one of typeof takeOut === 'function' ? [takeOut] : takeOut) one();
      };
    },
  };
}

/** A bug of one method. */
export function breaks(
  name: string,
  part: { readonly prototype: object },
  method: string,
  instead: Instead,
): Bug {
  return bug(name, () => replaced(part, method, instead));
}
