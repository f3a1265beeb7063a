// Runtime of the segment builder: reads its saved properties and sends the entries that src/entry builds.
import type { Node, NodeAPI, NodeDef } from 'node-red';
import { tcStringReader } from '../../src/consent/index';
import { compileBuilder, type Builder, type Issue, shortenThrown, type Slices } from '../../src/entry/index';
import { noStatusOnceRemoved, nowDeployed } from '../shared/deployed';
import { InOrder } from '../shared/in-order';
import type { Message } from '../shared/message-copy';
import { plainText, readSaved, type Saved } from '../shared/saved';
import { newSlices } from '../shared/slices';
import { typedInputsOf } from '../shared/typed-input';
import { joinSentences, textOr } from '../shared/words';
import { serveBuilderForms } from './admin';
import { builderType, LastMessage, type BuilderNode } from './builder-node';
import { Delivery, type Done, type Route } from './delivery';
import { InvalidCount } from './invalid-count';
import { builderSchema } from './schema';
import { formSentence, problemSentence } from './words';

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
      serve(RED, this, made);
    }
    noStatusOnceRemoved(this);
  }

  RED.nodes.registerType(builderType, SegmentBuilder);
  serveBuilderForms(RED);
};

type Made = { readonly builder: Builder } & Pick<Route, 'source' | 'place'>;

/** The builder for the saved properties, or a sentence with all their problems. */
function builderOf(RED: NodeAPI, node: Node, saved: Saved): Made | readonly string[] {
  const reading = readSaved(builderSchema(saved), saved);
  if (!reading.ok) return reading.problems.map((problem) => problemSentence(RED, problem));
  const { settings } = reading;
  const place = placeOf(RED, settings.output);
  const { consentVendor: vendor, consentPurposes: purposes } = settings;
  const compiled = compileBuilder(settings, typedInputsOf(RED, node), tcStringReader({ vendor, purposes }));
  if (compiled.ok && typeof place === 'function')
    return { builder: compiled.builder, source: settings.source, place };
  const issues = [...(compiled.ok ? [] : compiled.issues), ...(typeof place === 'function' ? [] : [place])];
  return issues.map((issue) => formSentence(RED, issue));
}

/** Where the entries go: a property of the message, or what is wrong with the saved one. */
function placeOf(RED: NodeAPI, output: string): Route['place'] | Issue {
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

/** An unusable node shows its problem in its status, and ends every message with an error. */
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
    // The preview in the form is needed most before the node works.
    node.lastMessage.see(message);
    (done as Done)(text);
  });
}

function serve(RED: NodeAPI, node: BuilderNode, made: Made): void {
  const inOrder = new InOrder();
  const route: Route = { RED, node, invalid: new InvalidCount(RED, node), ...made };
  node.on('input', (incoming, send, done) => {
    const message = incoming as Message;
    node.lastMessage.see(message);
    const delivery = new Delivery(route, message, send, done as Done);
    const slices = newSlices();
    const end = endOf(made.builder, message, delivery, slices);
    inOrder.deliver(end, slices.paused, (its) => endSafely(delivery, its));
  });
}

/**
 * What ends the message, once its turn has come. A message can hold objects whose getters throw; only that
 * message fails.
 */
function endOf(
  builder: Builder,
  message: Message,
  delivery: Delivery,
  slices: Slices,
): (() => void) | Promise<() => void> {
  const failed = (error: unknown) => () => delivery.unreadable(error);
  try {
    const result = builder.build(message, slices);
    const end =
      result instanceof Promise
        ? result.then((late) => delivery.prepare(late, slices))
        : delivery.prepare(result, slices);
    return end instanceof Promise ? end.catch(failed) : end;
  } catch (error) {
    return failed(error);
  }
}

function endSafely(delivery: Delivery, end: () => void): void {
  try {
    end();
  } catch (error) {
    delivery.unreadable(error);
  }
}
