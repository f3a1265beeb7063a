// Outputs of a segment builder for one message, and its single `done`.

import type { Node, NodeAPI, NodeMessage } from 'node-red';
import {
  type BuildResult,
  isObject,
  shortenThrown,
  eachInSlices,
  inSlices,
  type Slices,
} from '../../src/entry/index';
import { isWired } from '../shared/deployed';
import { copyOf, type Message } from '../shared/message-copy';
import { textOr, type Rejection } from '../shared/words';
import { isInvalid, type InvalidCount } from './invalid-count';
import { builderRejection } from './words';

export type Send = (messages: (NodeMessage | null)[]) => void;
/** A text: the debug sidebar cuts the sentence of an Error. */
export type Done = (error?: string) => void;

/** Of a node, for all its messages. */
export interface Route {
  readonly RED: NodeAPI;
  readonly node: Node;
  readonly source: 'message' | 'items';
  /** Puts the built entries into the message; false when the place cannot be made. */
  readonly place: (message: Message, value: unknown) => boolean;
  readonly invalid: InvalidCount;
}

type Items = Extract<BuildResult, { kind: 'items' }>['items'];

export class Delivery {
  constructor(
    private readonly route: Route,
    private readonly message: Message,
    private readonly send: Send,
    private readonly done: Done,
  ) {}

  /** The slow work; then the end of the message in its turn. */
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

  /** Ends the message, with an error if there is one. */
  end(error?: string): void {
    if (error === undefined) this.done();
    else this.done(error);
  }

  /** Something in the message cannot be read. */
  unreadable(error: unknown): void {
    const reason = shortenThrown(error);
    const { RED, invalid } = this.route;
    invalid.add([
      builderRejection(RED, 0, null, [{ code: 'unreadable', path: '', params: { reason } }], false),
    ]);
    this.end(reason);
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
    const entries = entriesOf(items, rejected.length);
    if (rejected.length === 0) return () => this.sendBuilt(entries) && this.end();
    if (entries.length === 0) return () => this.reject(this.message, rejected);
    if (!isWired(this.route.node, 1))
      return () => this.sendBuilt(entries) && this.reject(this.message, rejected);
    // No two outputs share an object.
    const audience = audienceOf(this.message, rejected);
    const copy = inSlices(copyOf(this.route.RED, { ...this.message, audience }), slices);
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
    const english = (): string => 'Output: a part of it is no object in this message; choose another place';
    this.end(textOr(RED, 'segment-builder.error.place', {}, english));
    return false;
  }

  /** Out of the second output, or an error where nobody listens there. */
  private reject(message: Message, rejected: readonly Rejection[]): void {
    this.route.invalid.add(rejected);
    const isHeard = isWired(this.route.node, 1);
    const [first, ...others] = rejected.filter(isInvalid);
    // That users have not consented is no error.
    if (first !== undefined || isHeard) message.audience = audienceOf(message, rejected);
    if (isHeard) this.send([null, message]);
    if (first === undefined || isHeard) {
      this.end();
      return;
    }
    const more = others.length > 0 ? ` (+${others.length})` : '';
    this.end(first.message + more);
  }
}

function entriesOf(items: Items, rejected: number): unknown[] {
  const entries = new Array<unknown>(items.length - rejected);
  let count = 0;
  for (const item of items) if (item.ok) entries[count++] = item.entry;
  return entries;
}

function audienceOf({ audience }: Message, rejected: readonly Rejection[]): object {
  return isObject(audience) ? { ...audience, rejected } : { rejected };
}
