// The usage node in the editor: its defaults, its validators, its label, and a form in words.
import { completeTypedInput, keepNames, reachConfigButtons } from '../shared/editor/accessible';
import { keepSelectable } from '../shared/editor/choices';
import { migrateOnLoad } from '../shared/editor/on-load';
import { offerOnlyAccount, useOnlyAccount } from '../shared/editor/only-account';
import { formClosed, formOpened, isFormOpen } from '../shared/editor/open-form';
import { showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import { accountOf, validAccount } from '../shared/editor/valid-account';
import type { EditorNode, EditorRed } from '../types/red-editor';

declare const RED: EditorRed;

interface UsageProperties {
  name: string;
  account: string;
  schedule: string;
  range: string;
  from: string;
  fromType: string;
  to: string;
  toType: string;
  detail: string;
}

type UsageNode = EditorNode<UsageProperties>;
type Choice = 'schedule' | 'range' | 'detail';

const choices: Record<Choice, readonly string[]> = {
  schedule: ['message', 'hourly'],
  range: ['hour', 'day', 'twoWeeks', 'custom'],
  detail: ['hourly', 'aggregated'],
};
/** Node-RED puts the variable's value in place before the runtime sees it. */
const environment = /^\$(\{[^}]+\}|\([^)]+\))$/;

function isFromEnvironment(value: unknown): boolean {
  return typeof value === 'string' && environment.test(value);
}

function validChoice(node: UsageNode, choice: Choice, value: unknown): true | string {
  const fits = value === undefined || isFromEnvironment(value) || choices[choice].includes(value as string);
  return fits ? true : node._(unknownChoice[choice]);
}

const unknownChoice: Record<Choice, string> = {
  schedule: 'invalid.schedule_unknown',
  range: 'invalid.range_unknown',
  detail: 'invalid.detail_unknown',
};

function validSchedule(this: UsageNode, value: unknown, _options: unknown): true | string {
  return validChoice(this, 'schedule', value);
}

function validRange(this: UsageNode, value: unknown, _options: unknown): true | string {
  return validChoice(this, 'range', value);
}

function validDetail(this: UsageNode, value: unknown, _options: unknown): true | string {
  return validChoice(this, 'detail', value);
}

/** The property as it stands in the open form, else as saved. */
function current(node: UsageNode, property: keyof UsageProperties): unknown {
  return isFormOpen(node) ? $(`#node-input-${property}`).val() : node[property];
}

function validTime(node: UsageNode, which: 'from' | 'to', value: unknown): true | string {
  if (current(node, 'range') !== 'custom' || isFromEnvironment(value)) return true;
  const field = node._(which === 'from' ? 'label.from' : 'label.to');
  if (value === undefined || value === '') return which === 'to' ? true : node._('invalid.from_missing');
  const saved = current(node, which === 'from' ? 'fromType' : 'toType');
  const type = typeof saved === 'string' ? saved : 'msg';
  if (type === 'msg' && current(node, 'schedule') === 'hourly')
    return node._('invalid.time_of_message', { field });
  return RED.utils.validateTypedProperty(value, type, {}) === true
    ? true
    : node._('invalid.time_invalid', { field });
}

function validFrom(this: UsageNode, value: unknown, _options: unknown): true | string {
  return validTime(this, 'from', value);
}

function validTo(this: UsageNode, value: unknown, _options: unknown): true | string {
  return validTime(this, 'to', value);
}

// ── The form ────────────────────────────────────────────────────────────────────────────────────────────────────────

const hints: Record<Choice, Record<string, string>> = {
  schedule: { message: 'schedule.messageHint', hourly: 'schedule.hourlyHint' },
  range: {
    hour: 'range.namedHint',
    day: 'range.namedHint',
    twoWeeks: 'range.namedHint',
    custom: 'range.customHint',
  },
  detail: { hourly: 'detail.hourlyHint', aggregated: 'detail.aggregatedHint' },
};

function prepareForm(node: UsageNode): void {
  useStyle();
  formOpened(node);
  for (const choice of Object.keys(choices) as Choice[]) prepareChoice(node, choice);
  prepareTime(node, 'from', 'label.from');
  prepareTime(node, 'to', 'label.to');
  const account = $('#node-input-account');
  reachConfigButtons(account, 'xandr-account');
  keepNames($('.instant-audience-usage'));
  offerOnlyAccount(account);
  const range = $('#node-input-range');
  const showTimes = (): void => void $('.instant-audience-custom').toggle(range.val() === 'custom');
  range.on('change', showTimes);
  showTimes();
  showProblems($('.instant-audience-usage'), [
    { name: 'account', field: account, verdict: () => validAccount.call(node, account.val(), {}) },
    ...(['from', 'to'] as const).map((name) => {
      const field = $(`#node-input-${name}`);
      return { name, field, verdict: () => validTime(node, name, field.val()) };
    }),
  ]);
}

function prepareChoice(node: UsageNode, choice: Choice): void {
  const list = $(`#node-input-${choice}`);
  keepSelectable(list, node[choice], (text) => text);
  const show = (): void => {
    const hint = hints[choice][String(list.val())] ?? 'schedule.otherHint';
    $(`#instant-audience-${choice}-hint`).text(node._(hint));
  };
  list.on('change', show);
  show();
}

function prepareTime(node: UsageNode, which: 'from' | 'to', word: string): void {
  const field = $(`#node-input-${which}`);
  const label = node._(word);
  field.typedInput({
    default: 'msg',
    types: ['msg', 'flow', 'global', 'str', 'num', 'jsonata', 'env'],
    typeField: `#node-input-${which}Type`,
  });
  completeTypedInput(field, label, node._('label.typeOf', { field: label }));
}

RED.nodes.registerType<UsageProperties>('xandr-audience-usage', {
  category: 'xandr audience',
  color: '#8FC1B5',
  icon: 'audience-usage.svg',
  paletteLabel: 'audience usage',
  inputs: 1,
  outputs: 2,
  defaults: {
    name: { value: '' },
    account: { value: '', type: 'xandr-account', validate: validAccount },
    schedule: { value: 'message', validate: validSchedule },
    range: { value: 'hour', validate: validRange },
    from: { value: '', validate: validFrom },
    fromType: { value: 'msg' },
    to: { value: '', validate: validTo },
    toType: { value: 'msg' },
    detail: { value: 'hourly', validate: validDetail },
  },
  outputLabels: function (index) {
    return this._(index === 0 ? 'outputs.report' : 'outputs.findings');
  },
  label: function () {
    const account = accountOf(this.account);
    const of =
      account === null
        ? this._('name.plain')
        : this._('name.of', { account: RED.utils.getNodeLabel(account, this.account) });
    return this.name || of;
  },
  labelStyle: function () {
    return this.name ? 'node_label_italic' : '';
  },
  onadd: function () {
    useOnlyAccount(this);
  },
  oneditprepare: function () {
    prepareForm(this);
  },
  oneditsave: function () {
    formClosed(this);
  },
  oneditcancel: function () {
    formClosed(this);
  },
});

migrateOnLoad('xandr-audience-usage');
