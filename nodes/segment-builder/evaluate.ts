// Evaluation of typed inputs for the preview in the form: flow, global, env and expressions.

import type { Node, NodeAPI } from 'node-red';
import { boundedJson, shortenThrown, Later } from '../../src/entry/index';
import { typedInputsOf } from '../shared/typed-input';

/** One input of the preview. */
export interface Question {
  readonly value: string;
  readonly type: string;
  /** The element of the list, when the builder makes an entry of each. */
  readonly item?: unknown;
}

/** `value` is absent when the input gives nothing; `code` stands for a sentence of the form's own. */
export type Reply =
  { readonly value?: unknown } | { readonly error: string } | { readonly code: 'notDeployed' | 'tooLarge' };

const types: readonly string[] = ['flow', 'global', 'env', 'jsonata'];
/** Longest value in characters; a longer one is no help in a preview. */
const maxChars = 100_000;

/**
 * Answers in order. An expression needs no deployed node unless it reads context or environment; all the rest does,
 * since flow and environment are those of the node's own tab.
 *
 * @param node the deployed builder, or null
 */
export function answerAll(
  RED: NodeAPI,
  node: Node | null,
  message: Readonly<Record<string, unknown>>,
  questions: readonly Question[],
): Promise<Reply[]> {
  return Promise.all(questions.map((question) => answer(RED, node, message, question)));
}

async function answer(
  RED: NodeAPI,
  node: Node | null,
  message: Readonly<Record<string, unknown>>,
  { value, type, item }: Question,
): Promise<Reply> {
  if (!types.includes(type)) return { error: `${type} is evaluated in the form` };
  if (node === null && type !== 'jsonata') return { code: 'notDeployed' };
  try {
    const found = typedInputsOf(RED, node ?? strangerOf())(value, type)({ message, item });
    return replyOf(found instanceof Later ? await found.value : found);
  } catch (error) {
    if (error instanceof NotDeployed) return { code: 'notDeployed' };
    return { error: shortenThrown(error) };
  }
}

/** Only what JSON holds reaches the form. */
function replyOf(value: unknown): Reply {
  if (value === undefined) return {};
  const text = boundedJson(value, maxChars);
  return text === null ? { code: 'tooLarge' } : { value: JSON.parse(text) };
}

class NotDeployed extends Error {}

/** A node that is not deployed has no context. */
function strangerOf(): Node {
  const stranger = {
    context: (): never => {
      throw new NotDeployed();
    },
  };
  return stranger as unknown as Node;
}
