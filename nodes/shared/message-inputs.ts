// Typed inputs that need only the message, for the runtime and the form's preview.
import { type CompiledInput, compilePath, type PathPart } from '../../src/entry/index';

/** Splits a path; throws an Error with the reason. Node-RED has this in the runtime and in the editor. */
export type SplitPath = (path: string) => readonly PathPart[];

export function messageInput(path: string, split: SplitPath): CompiledInput {
  const read = compilePath(split(path.startsWith('msg.') ? path.slice('msg.'.length) : path));
  return ({ message }) => read(message, message);
}

/** A field of the element, or the element itself for ''. */
export function itemInput(path: string, split: SplitPath): CompiledInput {
  if (path === '') return ({ item }) => item;
  const read = compilePath(split(path));
  return ({ item, message }) => read(item, message);
}

export function constantInput(value: unknown, type: 'str' | 'num' | 'env'): CompiledInput {
  const constant = type === 'num' ? Number(value) : value;
  return () => constant;
}
