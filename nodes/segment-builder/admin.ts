// Admin routes for the builder's open form: the last message of the node, and typed inputs that only the runtime can evaluate.

import type { Node, NodeAPI } from 'node-red';
import { tcStringReader } from '../../src/consent/index';
import { boundedJson, isObject, Later, shortenThrown } from '../../src/entry/index';
import { deployedNodes } from '../shared/deployed';
import { typedInputsOf } from '../shared/typed-input';
import { builderType, type BuilderNode } from './builder-node';

/** Answer of a route. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const mostQuestions = 1000;

/** Registers the routes; call it once. */
export function serveBuilderForms(RED: NodeAPI): void {
  // Messages contain personal data, and expressions are programs: both require the permission to deploy.
  const permitted = [
    RED.auth.needsPermission('instant-audience.write'),
    RED.auth.needsPermission('flows.write'),
  ];
  RED.httpAdmin.post('/instant-audience/builder/:id/last-message', ...permitted, (request, response) => {
    const { id } = request.params as { id: string };
    response.json(lastMessage(id));
  });
  RED.httpAdmin.post('/instant-audience/builder/:id/evaluate', ...permitted, (request, response) => {
    const { id } = request.params as { id: string };
    // A form of another site could send text, but not JSON, without the browser asking first.
    const body: unknown = request.is('json') ? request.body : null;
    void evaluate(RED, id, body).then((answer) => response.status(answer.status).json(answer.body));
  });
}

/** The message for the form's button, as JSON text, or a code of the form's words. */
export type TakenMessage =
  | { readonly message: string; readonly atMs: number }
  | { readonly code: 'none' | 'notDeployed' | 'tooLarge' };

/** In a subflow: the instance with the latest message. */
export function lastMessage(id: string): TakenMessage {
  const builders = deployedNodes<BuilderNode>(builderType, id);
  if (builders.length === 0) return { code: 'notDeployed' };
  const kept = builders.flatMap(({ lastMessage }) => lastMessage.kept ?? []);
  const latest = kept.sort((a, b) => b.atMs - a.atMs)[0];
  if (latest === undefined) return { code: 'none' };
  return latest.text === null ? { code: 'tooLarge' } : { message: latest.text, atMs: latest.atMs };
}

/** @param body `{message, inputs: [{value, type, item}]}`; the reply is `{replies}`, in the same order */
export async function evaluate(RED: NodeAPI, id: string, body: unknown): Promise<Answer> {
  if (!isObject(body) || !isObject(body.message) || !Array.isArray(body.inputs)) {
    return { status: 400, body: { code: 'badRequest' } };
  }
  const { message } = body;
  const inputs = body.inputs as unknown[];
  if (!inputs.every(isQuestion) || inputs.length > mostQuestions)
    return { status: 400, body: { code: 'badRequest' } };
  // Any instance of the subflow, since the form belongs to all of them.
  const [node = null] = deployedNodes<BuilderNode>(builderType, id);
  const replies = await Promise.all(inputs.map((question) => answer(RED, node, message, question)));
  return { status: 200, body: { replies } };
}

function isQuestion(value: unknown): value is Question {
  return isObject(value) && typeof value.value === 'string' && typeof value.type === 'string';
}

/** One input of the preview. */
interface Question {
  readonly value: string;
  readonly type: string;
  /** The element of the list, when the builder makes an entry of each; of a TC string, what it needs. */
  readonly item?: unknown;
}

/** `value` is absent when the input has none; `code` stands for a sentence of the form's own. */
type Reply =
  | { readonly value?: unknown }
  | { readonly error: string }
  | { readonly code: 'notDeployed' | 'tooLarge' };

const types: readonly string[] = ['flow', 'global', 'env', 'jsonata'];
/** Longest value in characters; a longer one is no help in a preview. */
const maxChars = 100_000;

/**
 * An expression needs no deployed node unless it reads context or environment; all the rest does, since flow and
 * environment are those of the node's own tab.
 *
 * @param node the deployed builder, or null
 */
async function answer(
  RED: NodeAPI,
  node: Node | null,
  message: Readonly<Record<string, unknown>>,
  { value, type, item }: Question,
): Promise<Reply> {
  if (type === 'tcString') return tcStringReply(value, item);
  if (!types.includes(type)) return { error: `${type} is evaluated in the form` };
  if (node === null && type !== 'jsonata') return { code: 'notDeployed' };
  try {
    const found = typedInputsOf(RED, node ?? stranger)(value, type)({ message, item });
    return replyOf(found instanceof Later ? await found.value : found);
  } catch (error) {
    if (error === notDeployed) return { code: 'notDeployed' };
    return { error: shortenThrown(error) };
  }
}

/** Of a TC string: only the runtime has what reads it. */
function tcStringReply(text: string, needed: unknown): Reply {
  const { vendor, purposes } = (needed ?? {}) as Record<string, unknown>;
  if (typeof vendor !== 'number' || !Array.isArray(purposes)) return { error: 'no vendor or no purposes' };
  try {
    return { value: tcStringReader({ vendor, purposes })(text) };
  } catch (error) {
    return { error: shortenThrown(error) };
  }
}

/** Only what JSON holds reaches the form. */
function replyOf(value: unknown): Reply {
  if (value === undefined) return {};
  const text = boundedJson(value, maxChars);
  return text === null ? { code: 'tooLarge' } : { value: JSON.parse(text) };
}

/** A node that is not deployed has no context. */
const notDeployed = new Error('not deployed');
const stranger = {
  context: (): never => {
    throw notDeployed;
  },
} as unknown as Node;
