// Core of the segment builder: builds entries from a message, or from each of its items, and checks them.
import type { BuilderConfig } from './builder-config';
import type { ReadTcString } from './consent';
import { checkEntry } from '../check';
import { compilePlan, draftOf, isRight, ValueReader, type CheckedPlan, type Draft } from './draft';
import type { Entry } from '../entry';
import { type Issue } from '../issues';
import { shorten } from '../shorten';
import { maxEntries } from '../read-input';
import { oneSlice, type Slices } from '../slices';
import {
  evaluateInput,
  Failed,
  failedIssue,
  Inputs,
  issueOf,
  Later,
  settle,
  type BuildContext,
  type Input,
  type ResolveProperty,
} from './typed-inputs';

type BuiltItem =
  | { readonly ok: true; readonly entry: Entry }
  /** `item` is the element of the list, or without a list the entry that failed its check. */
  | { readonly ok: false; readonly item: unknown; readonly issues: readonly Issue[] };

/** The result for one message: its items in order, or an issue that concerns the whole message. */
export type BuildResult =
  | { readonly kind: 'items'; readonly items: readonly BuiltItem[] }
  | { readonly kind: 'refused'; readonly issue: Issue };

export interface Builder {
  /** Never throws or rejects. Synchronous unless an input is asynchronous, or the items take more than one slice. */
  build(message: Readonly<Record<string, unknown>>, slices?: Slices): BuildResult | Promise<BuildResult>;
  /** Builds from a list that belongs to the message, such as rows of a table. Never throws or rejects. */
  buildItems(
    message: Readonly<Record<string, unknown>>,
    list: readonly unknown[],
    slices: Slices,
  ): readonly BuiltItem[] | Promise<readonly BuiltItem[]>;
}

export type CompileResult =
  | { readonly ok: true; readonly builder: Builder }
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** Compiles a builder, or returns an issue for each input that cannot be compiled. */
export function compileBuilder(
  config: BuilderConfig,
  resolveProperty: ResolveProperty,
  readTcString: ReadTcString,
): CompileResult {
  const inputs = new Inputs(resolveProperty);
  const compiled = compilePlan(config, inputs, readTcString);
  const items = config.source === 'items' ? inputs.single('items', config.items, config.itemsType) : null;
  if (inputs.issues.length > 0) return { ok: false, issues: inputs.issues };
  const buildItem = (context: BuildContext): BuiltItem | Promise<BuiltItem> =>
    buildOne(inputs, compiled, context);
  const builder: Builder = {
    build: (message, slices = oneSlice) =>
      items === null ? buildMessage(buildItem, message) : buildItems({ buildItem, items, message, slices }),
    buildItems: (message, list, slices) => buildFrom({ buildItem, message, slices }, list, []),
  };
  return { ok: true, builder };
}

type BuildItem = (context: BuildContext) => BuiltItem | Promise<BuiltItem>;

function buildMessage(
  buildItem: BuildItem,
  message: BuildContext['message'],
): BuildResult | Promise<BuildResult> {
  const built = buildItem({ message, item: undefined });
  return built instanceof Promise
    ? built.then((item) => ({ kind: 'items', items: [item] }))
    : itemsResult([built]);
}

/** A message with a list. */
interface Work {
  readonly buildItem: BuildItem;
  readonly message: BuildContext['message'];
  readonly slices: Slices;
}

type ListWork = Work & { readonly items: Input };

function buildItems(work: ListWork): BuildResult | Promise<BuildResult> {
  const value = evaluateInput(work.items, { message: work.message, item: undefined });
  if (value instanceof Later) return Promise.resolve(settle(value)).then((list) => buildList(work, list));
  return buildList(work, value);
}

function buildList(work: ListWork, list: unknown): BuildResult | Promise<BuildResult> {
  const { items } = work;
  if (list instanceof Failed) return { kind: 'refused', issue: failedIssue(items, list) };
  if (!Array.isArray(list))
    return { kind: 'refused', issue: issueOf('items_not_array', items, { got: shorten(list) }) };
  if (list.length > maxEntries) {
    const params = { got: list.length, max: maxEntries };
    return { kind: 'refused', issue: issueOf('items_too_many', items, params) };
  }
  const built = buildFrom(work, list, []);
  return built instanceof Promise ? built.then(itemsResult) : itemsResult(built);
}

/** Builds the items after those in `built`; continues asynchronously from the first item that has to wait. */
function buildFrom(
  work: Work,
  list: readonly unknown[],
  built: BuiltItem[],
): readonly BuiltItem[] | Promise<readonly BuiltItem[]> {
  const { buildItem, message, slices } = work;
  while (built.length < list.length) {
    const pause = slices.next();
    const next = { message, item: list[built.length] };
    const item = pause === null ? buildItem(next) : pause.then(() => buildItem(next));
    if (item instanceof Promise) return buildRest(work, list, built, item);
    built.push(item);
  }
  return built;
}

async function buildRest(
  { buildItem, message, slices }: Work,
  list: readonly unknown[],
  built: BuiltItem[],
  pending: Promise<BuiltItem>,
): Promise<readonly BuiltItem[]> {
  built.push(await pending);
  while (built.length < list.length) {
    const pause = slices.next();
    if (pause !== null) await pause;
    built.push(await buildItem({ message, item: list[built.length] }));
  }
  return built;
}

function itemsResult(items: readonly BuiltItem[]): BuildResult {
  return { kind: 'items', items };
}

function buildOne(inputs: Inputs, plan: CheckedPlan, context: BuildContext): BuiltItem | Promise<BuiltItem> {
  const values = inputs.evaluate(context);
  return values instanceof Promise
    ? values.then((settled) => assemble(inputs, plan, settled, context))
    : assemble(inputs, plan, values, context);
}

/** Makes one entry from the values of all inputs, with the out node's own check, which would refuse it otherwise. */
function assemble(
  inputs: Inputs,
  plan: CheckedPlan,
  values: readonly unknown[],
  context: BuildContext,
): BuiltItem {
  const reader = new ValueReader(inputs.list, values);
  const entry = draftOf(plan, reader);
  if (reader.lacksConsent)
    return notBuilt(entry, context, [issueOf('no_consent', inputs.list[plan.consent!.slot]!, {})]);
  if (reader.issues === null && isRight(plan, entry)) return builtOf(entry);
  // Fields without a value already have an issue; the check finds those of all others.
  const result = checkEntry(entry);
  if (result.ok && reader.issues === null) return builtOf(entry);
  const issues = reader.issues ?? [];
  if (!result.ok) issues.push(...result.issues.filter((issue) => !reader.covers(issue)));
  return notBuilt(entry, context, issues);
}

function notBuilt(entry: Draft, { item }: BuildContext, issues: readonly Issue[]): BuiltItem {
  return { ok: false, item: item === undefined ? entry : item, issues };
}

function builtOf(draft: Draft): BuiltItem {
  draft.user_id = String(draft.user_id);
  return { ok: true, entry: draft as unknown as Entry };
}
