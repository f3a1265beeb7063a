// Deep copy of a message in steps: a message with very many entries takes seconds.

import type { NodeAPI, NodeMessageInFlow } from 'node-red';
import type { Steps } from '../../src/entry/index';

export type Message = NodeMessageInFlow & Record<string, unknown>;
type Container = Record<string, unknown> | unknown[];

/** As Node-RED copies messages: `req` and `res` are the same objects in both. */
export function* copyOf({ util }: NodeAPI, message: Message): Steps<Message> {
  const copies = new Map<unknown, unknown>([message.req, message.res].map((shared) => [shared, shared]));
  const unfilled: [from: Container, to: Container][] = [];
  const begin = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const known = copies.get(value);
    if (known !== undefined) return known;
    const copy = isContainer(value)
      ? emptyAs(value)
      : util.cloneMessage({ value } as object as Message).value;
    copies.set(value, copy);
    if (isContainer(value)) unfilled.push([value, copy as Container]);
    return copy;
  };
  const whole = begin(message) as Message;
  for (let next = unfilled.pop(); next !== undefined; next = unfilled.pop()) {
    const [from, to] = next;
    for (const key of Object.keys(from)) {
      put(to, key, begin(from[key as never]));
      yield;
    }
  }
  return whole;
}

/** Plain objects of function nodes have another prototype than ours. */
function isContainer(value: object): value is Container {
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function emptyAs(container: Container): Container {
  if (Array.isArray(container)) return new Array<unknown>(container.length);
  return Object.create(Object.getPrototypeOf(container) as object | null) as Container;
}

function put(to: Container, key: string, value: unknown): void {
  // Anything else would set the prototype.
  if (key === '__proto__')
    Object.defineProperty(to, key, { value, enumerable: true, configurable: true, writable: true });
  else to[key as never] = value as never;
}
