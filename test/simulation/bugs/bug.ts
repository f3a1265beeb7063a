// A named bug: takes one promise away by wrapping or replacing a part, and gives it back.

export interface Bug {
  readonly name: string;
  /** Its number in the hostile reading, when it was found there. */
  readonly reading?: number;
  /** Returns what takes it out again. */
  readonly putIn: () => () => void;
}

let inPlace: string | null = null;

/** The name of the bug that is put in now. */
export function bugInPlace(): string | null {
  return inPlace;
}

type Methods = Record<string, (...args: never[]) => unknown>;
/** Fields that are private to the compiler; a bug knows what it breaks. */
export type Inside = Record<string, any>;

/** Puts `make(original)` in the place of a method. `this` of it is the object. */
export function replaced(
  part: { readonly prototype: object },
  method: string,
  make: (original: (...args: any[]) => any) => (this: Inside, ...args: any[]) => unknown,
): () => void {
  const methods = part.prototype as Methods;
  const own = Object.getOwnPropertyDescriptor(methods, method);
  if (own === undefined || typeof own.value !== 'function')
    throw new Error(`there is no method ${method} to break`);
  const original = own.value as (...args: unknown[]) => unknown;
  Object.defineProperty(methods, method, { ...own, value: make(original) });
  return () => Object.defineProperty(methods, method, own);
}

/** The same for a getter. */
export function replacedGetter(
  part: { readonly prototype: object },
  name: string,
  make: () => (this: Inside) => unknown,
): () => void {
  const own = Object.getOwnPropertyDescriptor(part.prototype, name);
  if (own?.get === undefined) throw new Error(`there is no getter ${name} to break`);
  Object.defineProperty(part.prototype, name, { ...own, get: make() });
  return () => Object.defineProperty(part.prototype, name, own);
}

export function bug(
  name: string,
  putIn: () => (() => void) | readonly (() => void)[],
  reading?: number,
): Bug {
  return {
    name,
    ...(reading !== undefined && { reading }),
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
