// A node's editor script as a user's browser gets it, run without a browser: RED is a stand-in, there is no DOM.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { buildSync } from 'esbuild';

const root = path.join(__dirname, '..', '..');

export type Words = Record<string, unknown>;
type Validator = (this: unknown, value: unknown, options: object) => true | string | string[];

interface Property {
  value: unknown;
  type?: string;
  required?: boolean;
  validate?: Validator;
}

export interface Definition {
  category: string;
  color: string;
  icon: string;
  paletteLabel: string;
  defaults: Record<string, Property>;
  credentials?: Record<string, Property>;
  label(this: unknown): string;
  outputLabels?(this: unknown, index: number): string;
  onadd?(this: unknown): void;
}

export function read(node: string, file: string): string {
  return readFileSync(path.join(root, 'nodes', node, file), 'utf8');
}

export function wordsOf(node: string): Words {
  return JSON.parse(read(node, `locales/en-US/${node}.json`)) as Words;
}

/** The text of a dotted key, or undefined where there is none. */
export function lookUp(words: Words, key: string): string | undefined {
  const found = key
    .split('.')
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], words);
  return typeof found === 'string' ? found : undefined;
}

/** Node-RED's `_` of one node: throws where a real one would show a raw key or an empty placeholder. */
export function translate(words: Words) {
  return (key: string, params: Record<string, string | number> = {}): string => {
    const text = lookUp(words, key);
    if (text === undefined) {
      throw new Error(`no word for ${key}`);
    }
    return text.replace(/__(\w+?)__/g, (_, name: string) => {
      if (params[name] === undefined) {
        throw new Error(`${key} needs ${name}`);
      }
      return String(params[name]);
    });
  };
}

export function bundleOf(node: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [path.join(root, 'nodes', node, 'editor.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2020',
  });
  return outputFiles[0]!.text;
}

/** What the editor calls when a node is added, by event. */
type Listeners = Map<string, (node: object) => void>;

const isPath = (text: string): boolean => !/[ [\]]|^\.|\.$|\.\./.test(text);

/** Of the editor's own: a path that is none, and a number that is none. */
function validateTyped(value: unknown, type: string): true | string {
  if (type === 'num') return value !== '' && Number.isFinite(Number(value)) ? true : 'not a number';
  return ['msg', 'flow', 'global'].includes(type) && !isPath(String(value)) ? 'not a path' : true;
}

/** Runs the script of one node. `configNodes` are what the editor knows by id. */
export function load(node: string, configNodes: Record<string, object> = {}) {
  const registered: { type: string; definition: Definition }[] = [];
  const listeners: Listeners = new Map();
  const RED = {
    events: {
      on: (event: string, listener: (node: object) => void) => {
        const before = listeners.get(event);
        listeners.set(event, (added) => {
          before?.(added);
          listener(added);
        });
      },
    },
    nodes: {
      registerType: (type: string, definition: Definition) => registered.push({ type, definition }),
      getType: () => registered[0]?.definition,
      node: (id: string) => configNodes[id],
      eachConfig: (see: (config: object) => void) => Object.values(configNodes).forEach(see),
    },
    utils: {
      validatePropertyExpression: isPath,
      validateTypedProperty: validateTyped,
      getNodeLabel: (found: { label: string }) => found.label,
    },
    i18n: { lang: () => 'en-US' },
  };
  vm.runInNewContext(bundleOf(node), { RED, URL, URLSearchParams, TextEncoder, setTimeout });
  const [{ type, definition } = { type: '', definition: null }] = registered;
  if (definition === null || registered.length !== 1) {
    throw new Error(`${node} registered ${registered.length} types`);
  }
  const _ = translate(wordsOf(node));
  const saved = Object.fromEntries(
    Object.entries(definition.defaults).map(([name, { value }]) => [name, value]),
  );

  /** A node as the canvas has it: the defaults, with some properties set. */
  const nodeWith = (properties: object = {}): Record<string, unknown> => ({ ...saved, ...properties, _ });

  /** The sentences of a node's red triangle. */
  const errorsOf = (properties: object = {}): string[] => {
    const one = nodeWith(properties);
    return Object.entries(definition.defaults)
      .flatMap(([name, { validate }]) => validate?.call(one, one[name], {}) ?? true)
      .filter((result) => result !== true);
  };
  return { type, definition, nodeWith, errorsOf, listeners };
}
