// The segment builder's runtime: reads its saved properties, hands messages to src/audience, sends what comes back.
import type { Node, NodeAPI, NodeDef, NodeMessage, NodeMessageInFlow } from 'node-red';
import { compileBuilder, type Builder, type BuildResult } from '../../src/audience/build';
import { isObject } from '../../src/audience/check';
import { type Issue } from '../../src/audience/issues';
import { shortenThrown } from '../../src/audience/shorten';
import { nowDeployed } from '../shared/deployed';
import { InOrder } from '../shared/in-order';
import { plainText, readSaved, type Saved } from '../shared/saved';
import { typedInputsOf } from '../shared/typed-input';
import { joinSentences, rejection, textOr, type Rejection } from '../shared/words';
import { serveBuilderForms } from './admin';
import { builderType, type BuilderNode } from './builder-node';
import { LastMessage } from './last-message';
import { builderSchema } from './schema';
import { formSentence, problemSentence } from './words';

const prefix = 'segment-builder';

type Message = NodeMessageInFlow & Record<string, unknown>;
type Send = (messages: (NodeMessage | null)[]) => void;
type Done = (error?: Error) => void;

/** Node-RED gives every node its wires; `@types/node-red` does not say so. */
type WiredNode = Node & { readonly wires?: readonly (readonly string[])[] };

/** Puts the built entries into the message; false when the place cannot be made. */
type Place = (message: Message, value: unknown) => boolean;

export = (RED: NodeAPI): void => {
  function SegmentBuilder(this: BuilderNode, saved: NodeDef & Saved): void {
    RED.nodes.createNode(this, saved);
    const lastMessage = new LastMessage();
    Object.assign(this, { lastMessage, accountId: plainText(saved.account) ?? '' });
    nowDeployed(this);
    const made = builderOf(RED, this, saved);
    if (!('builder' in made)) {
      refuseEverything(RED, this, made);
    } else {
      this.status({});
      serve(RED, this, made.builder, made.items, made.place);
    }
  }

  RED.nodes.registerType(builderType, SegmentBuilder);
  serveBuilderForms(RED);
};

interface Made {
  readonly builder: Builder;
  readonly items: boolean;
  readonly place: Place;
}

/** The builder that the saved properties describe, or a sentence for everything that is wrong with them. */
function builderOf(RED: NodeAPI, node: Node, saved: Saved): Made | readonly string[] {
  const reading = readSaved(builderSchema(saved), saved);
  if (!reading.ok) return reading.problems.map((problem) => problemSentence(RED, problem));
  const { settings } = reading;
  const place = placeOf(RED, settings.output);
  const compiled = compileBuilder(settings, typedInputsOf(RED, node));
  if (compiled.ok && typeof place === 'function')
    return { builder: compiled.builder, items: settings.source === 'items', place };
  const issues = [...(compiled.ok ? [] : compiled.issues), ...(typeof place === 'function' ? [] : [place])];
  return issues.map((issue) => formSentence(RED, issue));
}

/** Where the entries go: a property of the message, or what is wrong with the saved one. */
function placeOf(RED: NodeAPI, output: string): Place | Issue {
  try {
    if (RED.util.normalisePropertyExpression(output).length === 1) {
      return (message, value) => {
        message[output] = value;
        return true;
      };
    }
  } catch (error) {
    return { code: 'config_invalid', path: 'output', params: { reason: shortenThrown(error) } };
  }
  return (message, value) => RED.util.setMessageProperty(message, output, value, true);
}

/** A node that is not usable says so once, in its status, and to every message. */
function refuseEverything(RED: NodeAPI, node: BuilderNode, sentences: readonly string[]): void {
  const reasons = joinSentences(sentences);
  const text = textOr(
    RED,
    'segment-builder.error.misconfigured',
    { reasons },
    () => `The segment builder is not set up: ${reasons}`,
  );
  const status = textOr(RED, 'segment-builder.status.misconfigured', {}, () => 'not set up');
  node.status({ fill: 'red', shape: 'ring', text: status });
  node.error(text);
  node.on('input', (message, _send, done) => {
    // Whoever sets it up needs the preview in its form most.
    node.lastMessage.see(message);
    done(new Error(text));
  });
}

function serve(RED: NodeAPI, node: BuilderNode, builder: Builder, items: boolean, place: Place): void {
  const inOrder = new InOrder();
  node.on('input', (incoming, send, done) => {
    const message = incoming as Message;
    node.lastMessage.see(message);
    const delivery = new Delivery(RED, node, items, place, message, send, done);
    inOrder.deliver(buildSafely(builder, message), (result) => delivery.finish(result));
  });
}

/** A message can hold objects whose getters throw; that is this message's fault alone. */
function buildSafely(builder: Builder, message: Message): BuildResult | Error | Promise<BuildResult | Error> {
  try {
    const result = builder.build(message);
    return result instanceof Promise ? result.catch(toError) : result;
  } catch (error) {
    return toError(error);
  }
}

/** What becomes of one message: it ends with exactly one `done`. */
class Delivery {
  constructor(
    private readonly RED: NodeAPI,
    private readonly node: WiredNode,
    private readonly items: boolean,
    private readonly place: Place,
    private readonly message: Message,
    private readonly send: Send,
    private readonly done: Done,
  ) {}

  finish(result: BuildResult | Error): void {
    let error: Error | undefined;
    try {
      error = result instanceof Error ? result : this.distribute(result);
    } catch (thrown) {
      error = toError(thrown);
    }
    if (error === undefined) this.done();
    else this.done(error);
  }

  /** Sends the message on; returns the error that it ends with, if any. */
  private distribute(result: BuildResult): Error | undefined {
    if (result.kind === 'refused') {
      return this.reject(this.message, [rejection(this.RED, prefix, 0, null, [result.issue])], 1);
    }
    const rejected = this.rejectionsOf(result);
    const entries = result.items.flatMap((item) => (item.ok ? [item.entry] : []));
    const total = result.items.length;
    // An empty list has nothing to build and nothing wrong: a query that found nobody.
    if (total === 0) return undefined;
    if (entries.length === 0) return this.reject(this.message, rejected, total);
    const wrong =
      rejected.length > 0 && this.rejectsWired() ? this.RED.util.cloneMessage(this.message) : this.message;
    if (!this.place(this.message, this.items ? entries : entries[0])) return this.noPlace();
    this.send([this.message, null]);
    return rejected.length === 0 ? undefined : this.reject(wrong, rejected, total);
  }

  private rejectionsOf(result: BuildResult & { kind: 'items' }): Rejection[] {
    return result.items.flatMap((item, index) =>
      item.ok ? [] : [rejection(this.RED, prefix, index, item.item, item.issues)],
    );
  }

  /** Out of the second output, or an error where nobody listens there. */
  private reject(message: Message, rejected: readonly Rejection[], total: number): Error | undefined {
    if (!this.rejectsWired()) return this.rejectedError(rejected, total);
    const { audience } = message;
    message.audience = isObject(audience) ? { ...audience, rejected } : { rejected };
    this.send([null, message]);
    return undefined;
  }

  private rejectsWired(): boolean {
    return (this.node.wires?.[1]?.length ?? 0) > 0;
  }

  private rejectedError(rejected: readonly Rejection[], total: number): Error {
    const first = rejected[0]!;
    if (!this.items) return new Error(first.message);
    const params = { rejected: rejected.length, total, index: first.index, message: first.message };
    const english = (): string =>
      `${params.rejected} of ${total} items cannot be used. Item ${params.index}: ${params.message}`;
    return new Error(textOr(this.RED, 'segment-builder.error.items', params, english));
  }

  private noPlace(): Error {
    const english = (): string =>
      'The entries cannot be put into the message: a part of the output property is no object';
    return new Error(textOr(this.RED, 'segment-builder.error.place', {}, english));
  }
}

/** Its own words alone: what a message's getter throws may be anything. */
function toError(error: unknown): Error {
  return new Error(shortenThrown(error), { cause: error });
}
