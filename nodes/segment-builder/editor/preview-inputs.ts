// Typed inputs for the preview: message properties are read here, everything else by the runtime.
import { Later, type ResolveProperty } from '../../../src/entry/index';
import { constantInput, itemInput, messageInput, type SplitPath } from '../../shared/message-inputs';
import { post, whyNoReply, type NoReply } from '../../shared/editor/post';
import { variableIn } from '../../shared/saved';
import type { EditorNode, EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

type Reply = { readonly value?: unknown } | { readonly error: string } | { readonly code: string };

interface Question {
  readonly value: string;
  readonly type: string;
  readonly item: unknown;
}

/** More in one request would be slow to no purpose. */
const questionsPerRequest = 500;

type Ask = (value: string, type: string, item?: unknown) => Later;

/** Inputs for one message; one request asks the runtime for all that are asked in one turn. */
export function runtimeOf(node: EditorNode<object>, message: object): Ask {
  let questions: Question[] = [];
  let replies: Promise<readonly Reply[]> = Promise.resolve([]);
  return (value, type, item) => {
    if (questions.length === 0 || questions.length === questionsPerRequest) {
      const mine: Question[] = [];
      questions = mine;
      replies = Promise.resolve().then(() => {
        if (questions === mine) questions = [];
        return send(node, message, mine);
      });
    }
    const index = questions.push({ value, type, item }) - 1;
    return new Later(replies.then((all) => valueOf(node, all[index]!)));
  };
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

async function send(
  node: EditorNode<object>,
  message: object,
  inputs: readonly Question[],
): Promise<readonly Reply[]> {
  const body = { message, inputs };
  const answer = await askRuntime<{ readonly replies: readonly Reply[] }>(node, 'evaluate', body);
  return 'code' in answer ? inputs.map(() => answer) : answer.replies;
}

/** A route of the deployed builder; a key of the form's words where it does not answer. Never rejects. */
export async function askRuntime<T>(
  { id }: EditorNode<object>,
  route: 'evaluate' | 'last-message',
  body: object,
): Promise<T | { readonly code: NoReply }> {
  try {
    return (await post(`builder/${encodeURIComponent(id)}/${route}`, body)) as T;
  } catch (reply) {
    return { code: whyNoReply(reply) };
  }
}

function valueOf(node: EditorNode<object>, reply: Reply): unknown {
  if ('error' in reply) throw new Error(reply.error);
  if ('code' in reply) throw new Error(node._(`segment-builder.reason.${reply.code}`));
  return reply.value;
}
