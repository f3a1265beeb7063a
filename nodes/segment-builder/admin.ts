// What the builder's open form asks of the runtime: the last message that passed, and values that only it knows.

import type { Node, NodeAPI } from 'node-red';
import { answerAll, type Question } from './evaluate';
import type { MessageWatch } from './last-message';

/** What a route answers. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const mostQuestions = 1000;

/** By node id: the builders that are deployed. */
export type Watches = ReadonlyMap<string, MessageWatch>;

/** Registers the routes; call it once. */
export function serveBuilderForms(RED: NodeAPI, watches: Watches): void {
  // Messages hold what a flow's users hold; expressions are programs. Both are for those who may deploy.
  const permitted = [
    RED.auth.needsPermission('instant-audience.write'),
    RED.auth.needsPermission('flows.write'),
  ];
  RED.httpAdmin.post('/instant-audience/builder/:id/last-message', ...permitted, (request, response) => {
    const { id } = request.params as { id: string };
    const answer = lastMessage(watches, id);
    response.status(answer.status).json(answer.body);
  });
  RED.httpAdmin.post('/instant-audience/builder/:id/evaluate', ...permitted, (request, response) => {
    const { id } = request.params as { id: string };
    // A form of another site could send text, but not JSON, without the browser asking first.
    const body: unknown = request.is('json') ? request.body : null;
    void evaluate(RED, watches, id, body).then((answer) => response.status(answer.status).json(answer.body));
  });
}

/** `{message}` as JSON text with its time, `{message: null}` while none has passed since the form asked. */
export function lastMessage(watches: Watches, id: string): Answer {
  const watch = watches.get(id);
  if (watch === undefined) return { status: 404, body: { code: 'notDeployed' } };
  const last = watch.ask();
  if (last === 'too large') return { status: 413, body: { code: 'tooLarge' } };
  return { status: 200, body: last === null ? { message: null } : { message: last.text, atMs: last.atMs } };
}

/** @param body `{message, inputs: [{value, type, item}]}`; the reply is `{replies}`, in the same order */
export async function evaluate(RED: NodeAPI, watches: Watches, id: string, body: unknown): Promise<Answer> {
  if (!isRecord(body) || !isRecord(body.message) || !Array.isArray(body.inputs)) {
    return { status: 400, body: { code: 'badRequest' } };
  }
  const { message, inputs } = body;
  const questions = (inputs as unknown[]).filter(isQuestion);
  if (questions.length !== inputs.length || inputs.length > mostQuestions) {
    return { status: 400, body: { code: 'badRequest' } };
  }
  // Of another type, or gone since: then there is no watch.
  const node = watches.has(id) ? (RED.nodes.getNode(id) as Node | null | undefined) : null;
  return { status: 200, body: { replies: await answerAll(RED, node ?? null, message, questions) } };
}

function isQuestion(value: unknown): value is Question {
  return isRecord(value) && typeof value.value === 'string' && typeof value.type === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
