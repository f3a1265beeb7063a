// Typed inputs for the preview: message properties are read here, everything else by the runtime.
import { Later, type ResolveProperty } from '../../../src/entry/index';
import { constantInput, itemInput, messageInput, type SplitPath } from '../../shared/message-inputs';
import { variableIn } from '../../shared/saved';
import type { EditorNode, EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

type Reply = { readonly value?: unknown } | { readonly error: string } | { readonly code: string };

interface Question {
  readonly value: string;
  readonly type: string;
  readonly item: unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/** More in one request would be slow to no purpose. */
const questionsPerRequest = 500;

type Ask = (value: string, type: string, item?: unknown) => Later;

/** Inputs for one message; one request asks the runtime for all of them. */
export function runtimeOf(node: EditorNode<object>, message: object): Ask {
  const waiting: Question[] = [];
  return (value, type, item) =>
    new Later(
      new Promise((resolve, reject) => {
        waiting.push({ value, type, item, resolve, reject });
        if (waiting.length > 1) return;
        queueMicrotask(() => {
          const questions = waiting.splice(0);
          for (let start = 0; start < questions.length; start += questionsPerRequest) {
            send(node, message, questions.slice(start, start + questionsPerRequest));
          }
        });
      }),
    );
}

/**
 * The values in the runtime, with variables in place of `${NAME}`. An unset variable stays as it is. Rejects with the
 * reason if the runtime does not answer.
 */
export async function withVariables(ask: Ask, values: unknown): Promise<unknown> {
  if (typeof values === 'string') {
    const name = variableIn(values);
    return name === null ? values : ((await ask(name, 'env').value) ?? values);
  }
  if (Array.isArray(values)) return Promise.all(values.map((value) => withVariables(ask, value)));
  if (typeof values !== 'object' || values === null) return values;
  const found = Object.entries(values).map(
    async ([name, value]) => [name, await withVariables(ask, value)] as const,
  );
  return Object.fromEntries(await Promise.all(found));
}

export function previewInputs(ask: Ask): ResolveProperty {
  const split: SplitPath = (path) => RED.utils.normalisePropertyExpression(path);
  return (value, type) => {
    switch (type) {
      case 'msg':
        return messageInput(value, split);
      case 'item':
        return itemInput(value, split);
      case 'str':
      case 'num':
        return constantInput(value, type);
      default:
        refuseUnreadable(value, type);
        return ({ item }) => ask(value, type, item);
    }
  };
}

/** The runtime reports unreadable inputs at its start; the editor finds the same ones. */
function refuseUnreadable(value: string, type: string): void {
  const valid = RED.utils.validateTypedProperty(value, type, {});
  if (valid !== true) throw new Error(valid);
}

function send(node: EditorNode<object>, message: object, questions: readonly Question[]): void {
  const inputs = questions.map(({ value, type, item }) => ({ value, type, item }));
  $.ajax({
    url: `instant-audience/builder/${encodeURIComponent(node.id)}/evaluate`,
    method: 'POST',
    contentType: 'application/json',
    data: JSON.stringify({ message, inputs }),
  }).then(
    ({ replies }: { replies: readonly Reply[] }) =>
      questions.forEach((question, index) => settle(node, question, replies[index]!)),
    (reply: unknown) => {
      const code = whyNoReply(reply);
      questions.forEach((question) => settle(node, question, { code }));
    },
  );
}

/** For a request to the runtime that failed: a key of the form's words. */
export function whyNoReply(reply: unknown): 'notPermitted' | 'noAnswer' {
  const { status } = reply as JQuery.jqXHR;
  return status === 401 || status === 403 ? 'notPermitted' : 'noAnswer';
}

function settle(node: EditorNode<object>, { resolve, reject }: Question, reply: Reply): void {
  if ('error' in reply) reject(new Error(reply.error));
  else if ('code' in reply) reject(new Error(node._(`segment-builder.reason.${reply.code}`)));
  else resolve(reply.value);
}
