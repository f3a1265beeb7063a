// Live preview of the node's output, by the code of the runtime.
import {
  compileBuilder,
  type BuildResult,
  type BuilderConfig,
  checkEntry,
  type CheckedEntry,
  ignoresCase,
  type Issue,
  type ReadTcString,
} from '../../../src/entry/index';
import { dryRun } from '../../../src/delivery/dry-run';
import { documentedRequestLimits, type RequestLimits } from '../../../src/delivery/schedule/request-limits';
import { accountOf } from '../../shared/editor/account';
import { figuresOf, languageOf } from '../../shared/figures';
import { readSaved, type Saved } from '../../shared/saved';
import type { EditorNode, EditorRed } from '../../types/red-editor';
import { builderSchema } from '../schema';
import type { TakenMessage } from '../admin';
import { formSentence, problemSentence } from '../words';
import { exampleMessage } from './example-message';
import { askRuntime, previewInputs, runtimeOf, withVariables } from './preview-inputs';
import type { BuilderProperties } from './properties';
import { builderValues } from './validate';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;

/** The preview of one message. */
interface Shown {
  readonly says: string;
  readonly isGood?: boolean;
  readonly problems?: readonly string[];
  /** A valid value that is probably a mistake. */
  readonly note?: string;
  /** The requests, as JSON. */
  readonly json?: string;
}

const typingPauseMs = 120;
const mostProblems = 20;
const mostJsonChars = 20_000;

/** Messages typed into previews, by node, until the editor reloads; they are not saved. */
const typed = new Map<string, string>();

export class Preview {
  private readonly field = $('#instant-audience-message');
  /** What became of the button that takes the node's last message. */
  private readonly taken = $('#instant-audience-taken');
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Rises with every change, so that what comes late for an earlier one is not shown. */
  private updates = 0;
  private isClosed = false;
  private isExample: boolean;

  constructor(private readonly node: Builder) {
    const kept = typed.get(node.id);
    this.isExample = kept === undefined;
    if (kept !== undefined) this.field.val(kept);
    this.field.on('input', (event) => {
      event.stopPropagation();
      this.keep(String(this.field.val()));
    });
    $('#instant-audience-take').on('click', () => void this.take());
    $('#instant-audience-make').on('click', () => {
      this.isExample = true;
      typed.delete(node.id);
      this.taken.text('');
      void this.update();
    });
  }

  /**
   * Call when the form or the message may have changed. Writes the example before it waits for anything: the field grows
   * with its text, and a click is lost if its button moves between press and release.
   */
  async update(): Promise<void> {
    clearTimeout(this.timer);
    const number = ++this.updates;
    const values = builderValues(this.node);
    if (this.isExample) this.field.val(exampleText(values as unknown as BuilderConfig));
    const shown = await previewOf(this.node, values, String(this.field.val()), chosenLimits());
    if (number === this.updates) show(shown);
  }

  close(): void {
    clearTimeout(this.timer);
    this.updates += 1;
    this.isClosed = true;
  }

  private keep(text: string): void {
    this.isExample = false;
    typed.set(this.node.id, text);
    this.updates += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.update(), typingPauseMs);
  }

  private async take(): Promise<void> {
    const before = this.field.val();
    const taken = await askRuntime<TakenMessage>(this.node, 'last-message', {});
    // What was typed meanwhile stays.
    if (this.isClosed || this.field.val() !== before) return;
    if ('code' in taken) {
      this.say(taken.code);
      return;
    }
    this.say('taken', {
      time: new Date(taken.atMs).toLocaleTimeString(languageOf(this.node, 'segment-builder.language')),
    });
    const text = JSON.stringify(JSON.parse(taken.message), null, 2);
    this.field.val(text);
    this.keep(text);
  }

  private say(name: string, params?: Record<string, unknown>): void {
    this.taken.text(this.node._(`segment-builder.take.${name}`, params));
  }
}

function exampleText(config: BuilderConfig): string {
  const message = exampleMessage(config, new Date().toISOString(), (to, path, value) => {
    RED.utils.setMessageProperty(to, path, value, true);
  });
  return JSON.stringify(message, null, 2);
}

/** Never rejects. */
async function previewOf(node: Builder, values: Saved, text: string, limits: RequestLimits): Promise<Shown> {
  const message = readMessage(node, text);
  if (typeof message === 'string') return { says: message };
  const ask = runtimeOf(node, message);
  let saved: Saved;
  try {
    saved = (await withVariables(ask, values)) as Saved;
  } catch (error) {
    return { says: word(node, 'variables', { reason: (error as Error).message }) };
  }
  const reading = readSaved(builderSchema(saved), saved);
  if (!reading.ok) {
    const told = reading.problems.map((problem) => problemSentence(node, problem));
    return { says: word(node, 'notSetUp'), problems: told };
  }
  const { consentVendor: vendor, consentPurposes: purposes } = reading.settings;
  // Only the runtime has what reads TC strings.
  const readTcString: ReadTcString = (tc) => ask(tc, 'tcString', { vendor, purposes });
  const compiled = compileBuilder(reading.settings, previewInputs(ask), readTcString);
  if (!compiled.ok) return { says: word(node, 'notSetUp'), problems: sentences(node, compiled.issues) };
  return resultOf(node, await compiled.builder.build(message as Record<string, unknown>), limits);
}

/** Of the account in the form; as documented without one, and where the environment decides. */
function chosenLimits(): RequestLimits {
  const account = accountOf($('#node-input-account').val());
  const names = Object.keys(documentedRequestLimits) as (keyof RequestLimits)[];
  const limits = names.map((name): [string, number] => {
    const saved = Number(account?.[name]);
    return [name, saved > 0 ? saved : documentedRequestLimits[name]];
  });
  return Object.fromEntries(limits) as unknown as RequestLimits;
}

function readMessage(node: Builder, text: string): object | string {
  if (text.trim() === '') return word(node, 'empty');
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && message !== null && !Array.isArray(message)
      ? message
      : word(node, 'notMessage');
  } catch (error) {
    return word(node, 'notJson', { reason: error instanceof Error ? error.message : '' });
  }
}

function resultOf(node: Builder, result: BuildResult, limits: RequestLimits): Shown {
  if (result.kind === 'refused')
    return { says: word(node, 'refused'), problems: sentences(node, [result.issue]) };
  const entries: CheckedEntry[] = [];
  const problems: string[] = [];
  const total = result.items.length;
  if (total === 0) return { says: word(node, 'noItems'), isGood: true };
  result.items.forEach((item, index) => {
    const checked = item.ok ? checkEntry(item.entry) : item;
    if (checked.ok) {
      entries.push(checked.entry);
      return;
    }
    const told = sentences(node, checked.issues);
    problems.push(...(total === 1 ? told : told.map((sentence) => word(node, 'item', { index, sentence }))));
  });
  const isGood = problems.length === 0;
  const partly = total === 1 ? word(node, 'refused') : partlyMade(node, entries.length, total);
  const note = entries.some(isDeviceLike) ? word(node, 'deviceLike') : '';
  const says = isGood ? madeOf(node, entries) : partly;
  return { says, isGood, problems, note, json: requestsText(entries, limits) };
}

/** A platform id or mapped id that looks like a device id: its kind was probably forgotten. */
function isDeviceLike({ body }: CheckedEntry): boolean {
  const { user_id: id, domain } = JSON.parse(body) as { user_id: string; domain?: string };
  return domain === undefined && ignoresCase(id);
}

function partlyMade(node: Builder, good: number, total: number): string {
  return word(node, 'partly', figuresOf({ good, total }, node, 'segment-builder.language'));
}

function madeOf(node: Builder, entries: readonly CheckedEntry[]): string {
  const users = new Set(entries.map(({ userKey }) => userKey)).size;
  const segments = entries.reduce((sum, { blocks }) => sum + blocks.length, 0);
  return word(node, 'good', figuresOf({ users, segments }, node, 'segment-builder.language'));
}

/** As the out node packs them now; it may put several messages into one request, and shortens times that have waited. */
function requestsText(entries: readonly CheckedEntry[], limits: RequestLimits): string {
  if (entries.length === 0) return '';
  const text = dryRun(entries, Date.now(), limits)
    .map((body) => JSON.stringify(body, null, 2))
    .join('\n\n');
  return text.length <= mostJsonChars ? text : `${text.slice(0, mostJsonChars)}\n…`;
}

function sentences(node: Builder, issues: readonly Issue[]): string[] {
  return issues.map((issue) => formSentence(node, issue));
}

function word(node: Builder, name: string, params?: Record<string, unknown>): string {
  return node._(`segment-builder.preview.${name}`, params);
}

function show({ says, isGood = false, problems = [], note = '', json = '' }: Shown): void {
  const place = $('#instant-audience-preview-says');
  const icon = isGood ? 'fa-check-circle' : 'fa-times-circle';
  place.toggleClass('instant-audience-good', isGood).toggleClass('instant-audience-bad', !isGood);
  // Screen readers repeat it only when it changes.
  if (place.text().trim() !== says) {
    place
      .empty()
      .append($('<i>', { class: `fa ${icon}`, 'aria-hidden': 'true' }), document.createTextNode(` ${says}`));
  }
  const told = problems.slice(0, mostProblems).map((problem) => $('<li>').text(problem));
  $('#instant-audience-preview-problems')
    .empty()
    .append(told)
    .toggle(told.length > 0);
  $('#instant-audience-preview-note')
    .text(note)
    .toggle(note !== '');
  $('#instant-audience-preview-json')
    .text(json)
    .toggle(json !== '');
}
