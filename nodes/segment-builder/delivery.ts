// What becomes of one message of a segment builder: what leaves which output, and that it ends with exactly one `done`.

import type { Node, NodeAPI, NodeMessage, NodeMessageInFlow } from 'node-red';
import type { BuildResult } from '../../src/audience/build';
import { isObject } from '../../src/audience/check';
import { eachInSlices, type Slices } from '../../src/audience/slices';
import { textOr, type Rejection } from '../shared/words';
import type { InvalidCount } from './invalid-count';
import { builderRejection } from './words';

export type Message = NodeMessageInFlow & Record<string, unknown>;
export type Send = (messages: (NodeMessage | null)[]) => void;
/** A text: the debug sidebar cuts the sentence of an Error. */
export type Done = (error?: string) => void;

/** Node-RED gives every node its wires; `@types/node-red` does not say so. */
type WiredNode = Node & { readonly wires?: readonly (readonly string[])[] };

/** Of a node, for all its messages. */
export interface Route {
  readonly RED: NodeAPI;
  readonly node: WiredNode;
  readonly source: 'message' | 'items';
  /** Where the items are in the message; null when they come from elsewhere. */
  readonly itemsPath: string | null;
  /** Puts the built entries into the message; false when the place cannot be made. */
  readonly place: (message: Message, value: unknown) => boolean;
  readonly invalid: InvalidCount;
}

/** More items are copied in slices. */
const copiedAtOnce = 1_000;

type Items = Extract<BuildResult, { kind: 'items' }>['items'];

export class Delivery {
  constructor(
    private readonly route: Route,
    private readonly message: Message,
    private readonly send: Send,
    private readonly done: Done,
  ) {}

  /** What takes its time; then what ends the message, when its turn has come. */
  prepare(result: BuildResult, slices: Slices): (() => void) | Promise<() => void> {
    if (result.kind === 'refused') {
      const { issue } = result;
      const rejected = builderRejection(this.route.RED, 0, null, [issue], false);
      return () => this.reject(this.message, [rejected]);
    }
    const { items } = result;
    const rejected: Rejection[] = [];
    const working = eachInSlices(items.length, slices, (index) => this.addRejection(rejected, items, index));
    return working === null
      ? this.ending(items, rejected, slices)
      : working.then(() => this.ending(items, rejected, slices));
  }

  /** Ends it with an error, or well. */
  end(error?: string): void {
    if (error === undefined) this.done();
    else this.done(error);
  }

  private addRejection(rejected: Rejection[], items: Items, index: number): void {
    const item = items[index]!;
    if (item.ok) return;
    const { RED, source } = this.route;
    rejected.push(builderRejection(RED, index, item.item, item.issues, source === 'items'));
  }

  private ending(
    items: Items,
    rejected: readonly Rejection[],
    slices: Slices,
  ): (() => void) | Promise<() => void> {
    // An empty list has nothing to build and nothing wrong: a query that found nobody.
    if (items.length === 0) return () => this.end();
    const entries = items.flatMap((item) => (item.ok ? [item.entry] : []));
    if (rejected.length === 0) return () => this.sendBuilt(entries) && this.end();
    if (entries.length === 0) return () => this.reject(this.message, rejected);
    if (!this.rejectsWired) return () => this.sendBuilt(entries) && this.reject(this.message, rejected);
    const copy = this.copy(rejected, slices);
    return copy instanceof Promise
      ? copy.then((message) => () => this.sendBoth(entries, message, rejected))
      : () => this.sendBoth(entries, copy, rejected);
  }

  private sendBoth(entries: readonly unknown[], copy: Message, rejected: readonly Rejection[]): void {
    if (!this.sendBuilt(entries)) return;
    this.send([null, copy]);
    this.route.invalid.add(rejected);
    this.end();
  }

  /** Out of the first output; false when the message has ended because that cannot be. */
  private sendBuilt(entries: readonly unknown[]): boolean {
    const { RED, source, place } = this.route;
    if (place(this.message, source === 'items' ? entries : entries[0])) {
      this.send([this.message, null]);
      return true;
    }
    const english = (): string => 'Put into: a part of it is no object in this message; choose another place';
    this.end(textOr(RED, 'segment-builder.error.place', {}, english));
    return false;
  }

  /** Out of the second output, or an error where nobody listens there. */
  private reject(message: Message, rejected: readonly Rejection[]): void {
    this.route.invalid.add(rejected);
    message.audience = audienceOf(message, rejected);
    if (this.rejectsWired) {
      this.send([null, message]);
      this.end();
      return;
    }
    const more = rejected.length > 1 ? ` (+${rejected.length - 1})` : '';
    this.end(rejected[0]!.message + more);
  }

  private get rejectsWired(): boolean {
    return (this.route.node.wires?.[1]?.length ?? 0) > 0;
  }

  /** For the second output beside the first: no two outputs share an object. */
  private copy(rejected: readonly Rejection[], slices: Slices): Message | Promise<Message> {
    const { RED, itemsPath } = this.route;
    const list: unknown = itemsPath === null ? null : RED.util.getMessageProperty(this.message, itemsPath);
    if (itemsPath !== null && Array.isArray(list) && list.length > copiedAtOnce)
      return this.copyInSlices(itemsPath, list, rejected, slices);
    return RED.util.cloneMessage({ ...this.message, audience: audienceOf(this.message, rejected) });
  }

  private copyInSlices(
    path: string,
    list: readonly unknown[],
    rejected: readonly Rejection[],
    slices: Slices,
  ): Message | Promise<Message> {
    const { util } = this.route.RED;
    const items: unknown[] = [];
    const working = eachInSlices(list.length, slices, (index) => {
      items.push(util.cloneMessage({ item: list[index] }).item);
    });
    const copied = (): Message => this.copyAround(path, list, items, rejected);
    return working === null ? copied() : working.then(copied);
  }

  private copyAround(
    path: string,
    list: readonly unknown[],
    items: readonly unknown[],
    rejected: readonly Rejection[],
  ): Message {
    const { util } = this.route.RED;
    // Nobody sees the message without its list.
    util.setMessageProperty(this.message, path, null);
    const copy = util.cloneMessage(this.message);
    util.setMessageProperty(this.message, path, list);
    util.setMessageProperty(copy, path, items);
    copy.audience = audienceOf(
      copy,
      rejected.map((one) => ({ ...one, entry: items[one.index] })),
    );
    return copy;
  }
}

function audienceOf({ audience }: Message, rejected: readonly Rejection[]): object {
  return isObject(audience) ? { ...audience, rejected } : { rejected };
}
