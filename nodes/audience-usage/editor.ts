// Editor definition of the usage node: defaults, validators, label and form.
import { keepNames, reachConfigButtons, typedInput } from '../shared/editor/accessible';
import { bringSandbox, useOnlyAccount, validAccount } from '../shared/editor/account';
import { keepSelectable, keepVariable, showHint, type InputTypes } from '../shared/editor/choices';
import { currentValues, formClosed, formOpened } from '../shared/editor/fields';
import { completeOnLoad } from '../shared/editor/on-load';
import { checkedFields, showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import { problemsInForm, problemText, variableIn } from '../shared/saved';
import type { EditorNode, EditorRed, Verdict } from '../types/red-editor';
import { usageSchema } from './schema';

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

const properties = ['schedule', 'range', 'from', 'fromType', 'to', 'toType', 'detail'] as const;

/** A validator of Node-RED 3 and later: two parameters, and a sentence for what is wrong. */
function valid(property: keyof UsageProperties) {
  return function (this: UsageNode, value: unknown, _options: unknown): Verdict {
    const values = { ...currentValues(this, properties), [property]: value };
    const wrong = problemsInForm(usageSchema(values), values).filter(({ path }) => path === property);
    if (wrong.length > 0) return wrong.map((problem) => problemText(this, 'invalid', problem));
    const isTime = (property === 'from' || property === 'to') && values.range === 'custom';
    if (!isTime || value === '' || value === undefined || variableIn(value) !== null) return true;
    const fits =
      RED.utils.validateTypedProperty(
        value,
        (values[`${property}Type`] as string | undefined) ?? 'msg',
        {},
      ) === true;
    return fits ? true : this._('invalid.time_invalid', { field: this._(`label.${property}`) });
  };
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
  for (const choice of ['schedule', 'range', 'detail'] as const) {
    const list = $(`#node-input-${choice}`);
    keepSelectable(list, node[choice]);
    showHint(node, list, $(`#instant-audience-${choice}-hint`), hints[choice], 'schedule.otherHint');
  }
  const types: InputTypes = ['msg', 'flow', 'global', 'str', 'num', 'jsonata', 'env'];
  typedInput(node, 'from', types);
  typedInput(node, 'to', types, node._('label.now'));
  const account = $('#node-input-account');
  keepVariable(account, node.account);
  reachConfigButtons(account, 'xandr-account');
  keepNames($('.instant-audience-usage'));
  const range = $('#node-input-range');
  const showTimes = (): void => void $('.instant-audience-custom').toggle(range.val() === 'custom');
  range.on('change', showTimes);
  showTimes();
  showProblems($('.instant-audience-usage'), [
    { name: 'account', field: account, verdict: () => validAccount.call(node, account.val(), {}) },
    ...checkedFields(['schedule', 'range', 'from', 'to', 'detail'] as const, (name, value) =>
      valid(name).call(node, value, {}),
    ),
  ]);
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
    schedule: { value: 'message', validate: valid('schedule') },
    range: { value: 'hour', validate: valid('range') },
    from: { value: '', validate: valid('from') },
    fromType: { value: 'msg', validate: valid('fromType') },
    to: { value: '', validate: valid('to') },
    toType: { value: 'msg', validate: valid('toType') },
    detail: { value: 'hourly', validate: valid('detail') },
  },
  outputLabels: function (index) {
    return this._(index === 0 ? 'outputs.report' : 'outputs.findings');
  },
  label: function () {
    return this.name || 'audience usage';
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

completeOnLoad('xandr-audience-usage');
bringSandbox('xandr-audience-usage');
