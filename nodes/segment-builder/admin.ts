// Admin routes for the builder's open form: the last message of the node, and typed inputs that only the runtime can evaluate.

import type { NodeAPI } from 'node-red';
import { isObject } from '../../src/entry/index';
import { deployedNodes } from '../shared/deployed';
import { builderType, type BuilderNode } from './builder-node';
import { answerAll, type Question } from './evaluate';

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
  const { message, inputs } = body;
  const questions = (inputs as unknown[]).filter(isQuestion);
  if (questions.length !== inputs.length || inputs.length > mostQuestions) {
    return { status: 400, body: { code: 'badRequest' } };
  }
  // Any instance of the subflow, since the form belongs to all of them.
  const [node = null] = deployedNodes<BuilderNode>(builderType, id);
  return { status: 200, body: { replies: await answerAll(RED, node, message, questions) } };
}

function isQuestion(value: unknown): value is Question {
  return isObject(value) && typeof value.value === 'string' && typeof value.type === 'string';
}
