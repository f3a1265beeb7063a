// Typed inputs as Node-RED's forms save them, compiled once for a node.
import type { Node, NodeAPI } from 'node-red';
import {
  Later,
  type BuildContext,
  type CompiledInput,
  type ResolveProperty,
  compilePath,
  type PathPart,
} from '../../src/entry/index';
import { constantInput, itemInput, messageInput } from './message-inputs';

/** What `@types/node-red` lacks of `RED.util`: expressions are evaluated with a callback only. */
interface ExpressionUtil {
  prepareJSONataExpression(value: string, node: Node): unknown;
  evaluateJSONataExpression(
    expression: unknown,
    message: unknown,
    callback: (error: unknown, value?: unknown) => void,
  ): void;
  parseContextStore(key: string): { key: string; store?: string };
}

interface ContextStore {
  get(key: string, store: string | undefined, callback: (error: unknown, value?: unknown) => void): void;
}

/** Compiles the types msg, flow, global, str, num, env, jsonata and item (a field of an element). */
export function typedInputsOf(RED: NodeAPI, node: Node): ResolveProperty {
  const parts = (path: string): readonly PathPart[] => partsOf(RED, path);
  return (value, type) => {
    switch (type) {
      case 'msg':
        return messageInput(value, parts);
      case 'item':
        return itemInput(value, parts);
      case 'flow':
      case 'global':
        return contextInput(RED, node, value, type);
      case 'jsonata':
        return expressionInput(RED, node, value);
      case 'env':
        return constantInput(environmentValue(RED, node, value), 'env');
      case 'num':
      case 'str':
        return constantInput(value, type);
      default:
        throw new Error(`the type ${type} is not known`);
    }
  };
}

/** Without a message Node-RED leaves nested paths as parts; its types only know the other case. */
function partsOf(RED: NodeAPI, path: string): readonly PathPart[] {
  return RED.util.normalisePropertyExpression(path);
}

/** Node-RED reads an unset environment variable as ''; here it is undefined. */
function environmentValue(RED: NodeAPI, node: Node, name: string): unknown {
  const value: unknown = RED.util.evaluateNodeProperty(name, 'env', node, {});
  return value === '' ? undefined : value;
}

/** Reads the whole variable by its name, then the path within it, so that the path is split only here. */
function contextInput(RED: NodeAPI, node: Node, value: string, type: 'flow' | 'global'): CompiledInput {
  const util = RED.util as unknown as ExpressionUtil;
  const { key, store } = util.parseContextStore(value);
  const parts = partsOf(RED, key);
  const [name, ...rest] = parts;
  const context = (): ContextStore => node.context()[type];
  if (typeof name !== 'string' || !/^[a-z_$][\w$]*$/i.test(name) || name === '$parent') {
    return ({ message }) => fromStore(context(), dynamicKey(RED, key, message), store);
  }
  const read = compilePath(rest);
  return ({ message }) => {
    const found = fromStore(context(), name, store);
    return found instanceof Later
      ? new Later(found.value.then((each) => read(each, message)))
      : read(found, message);
  };
}

function dynamicKey(RED: NodeAPI, key: string, message: BuildContext['message']): string {
  return key.includes('[msg') ? RED.util.normalisePropertyExpression(key, message, true) : key;
}

/** Stores in memory answer at once, others later; both through the callback. */
function fromStore(context: ContextStore, key: string, store: string | undefined): unknown {
  const answers: { readonly error: unknown; readonly value: unknown }[] = [];
  let wake = (): void => undefined;
  context.get(key, store, (error, value) => {
    answers.push({ error, value });
    wake();
  });
  const read = (): unknown => {
    const [answer] = answers;
    if (answer?.error) throw toError(answer.error);
    return answer?.value;
  };
  return answers.length > 0 ? read() : new Later(new Promise<void>((resolve) => (wake = resolve)).then(read));
}

/** An expression sees the message, and the element of the list as `item`. */
function expressionInput(RED: NodeAPI, node: Node, value: string): CompiledInput {
  const util = RED.util as unknown as ExpressionUtil;
  const expression = util.prepareJSONataExpression(value, node);
  return ({ message, item }) => {
    const input = item === undefined ? message : { ...message, item };
    return new Later(
      new Promise((resolve, reject) => {
        util.evaluateJSONataExpression(expression, input, (error, result) => {
          if (error) reject(toError(error));
          else resolve(result);
        });
      }),
    );
  };
}

/** JSONata reports plain objects. */
export function toError(error: unknown): Error {
  if (error instanceof Error) return error;
  const message = (error as { message?: unknown } | null)?.message;
  return new Error(typeof message === 'string' ? message : 'unknown error');
}
