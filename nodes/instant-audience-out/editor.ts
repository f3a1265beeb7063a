// Editor definition of the out node: defaults, validators, label and form.
import { keepNames, reachConfigButtons, typedInput } from '../shared/editor/accessible';
import {
  accountOf,
  bringSandbox,
  useOnlyAccount,
  validAccount,
  type SavedAccount,
} from '../shared/editor/account';
import { keepBox, keepSelectable, keepVariable, showHint } from '../shared/editor/choices';
import { completeOnLoad } from '../shared/editor/on-load';
import { checkedFields, showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import { problemsInForm, problemText, readSaved, variableIn } from '../shared/saved';
import type { EditorNode, EditorRed, Verdict } from '../types/red-editor';
import { outSchema } from './schema';

declare const RED: EditorRed;

interface OutProperties {
  name: string;
  account: string;
  input: string;
  inputType: string;
  completeOn: string;
  youngSegments: string;
  lateAdds: string;
  allowUnknownFields: boolean | string;
  dryRun: boolean | string;
}

type OutNode = EditorNode<OutProperties>;

/** A validator of Node-RED 3 and later: two parameters, and a sentence for what is wrong. */
function valid(property: keyof OutProperties) {
  return function (this: OutNode, value: unknown, _options: unknown): Verdict {
    const wrong = problemsInForm(outSchema, { [property]: value });
    if (wrong.length > 0) return wrong.map((problem) => problemText(this, 'invalid', problem));
    const isPath =
      property !== 'input' || this.inputType !== 'msg' || value === undefined || variableIn(value) !== null;
    return isPath || RED.utils.validatePropertyExpression(value as string)
      ? true
      : this._('invalid.input_invalid');
  };
}

const warmUpHints: Record<string, string> = {
  ignore: 'youngSegments.ignoreHint',
  warn: 'youngSegments.warnHint',
  hold: 'youngSegments.holdHint',
};

const lateHints: Record<string, string> = {
  shorten: 'lateAdds.shortenHint',
  asIs: 'lateAdds.asIsHint',
};

function completeOnHint(chosen: unknown, account: SavedAccount | null): string {
  if (chosen === 'queued') {
    return account?.queue === 'memory' ? 'completeOn.memoryHint' : 'completeOn.queuedHint';
  }
  return chosen === 'accepted' ? 'completeOn.acceptedHint' : 'completeOn.otherHint';
}

const checked = ['input', 'completeOn', 'youngSegments', 'lateAdds', 'allowUnknownFields', 'dryRun'] as const;

function prepareForm(node: OutNode): void {
  const account = $('#node-input-account');
  useStyle();
  keepSelectable($('#node-input-completeOn'), node.completeOn);
  keepSelectable($('#node-input-youngSegments'), node.youngSegments);
  keepSelectable($('#node-input-lateAdds'), node.lateAdds);
  keepBox($('#node-input-allowUnknownFields'), node.allowUnknownFields);
  keepBox($('#node-input-dryRun'), node.dryRun);
  keepVariable(account, node.account);
  typedInput(node, 'input', ['msg']);
  reachConfigButtons(account, 'xandr-account');
  keepNames($('.instant-audience-out'));
  showHints(node, account);
  showProblems($('.instant-audience-out'), [
    { name: 'account', field: account, verdict: () => validAccount.call(node, account.val(), {}) },
    ...checkedFields(checked, (name, value) => valid(name).call(node, value, {})),
  ]);
}

function showHints(node: OutNode, account: JQuery): void {
  const completeOn = $('#node-input-completeOn');
  const show = (): void => {
    const hint = completeOnHint(completeOn.val(), accountOf(account.val()));
    $('#instant-audience-complete-hint').text(node._(hint));
  };
  completeOn.on('change', show);
  const otherwise = 'completeOn.otherHint';
  const warmUp = $('#instant-audience-warm-up-hint');
  showHint(node, $('#node-input-youngSegments'), warmUp, warmUpHints, otherwise);
  showHint(node, $('#node-input-lateAdds'), $('#instant-audience-late-hint'), lateHints, otherwise);
  // The list of accounts is replaced after another one was added, which fires `change` too.
  account.on('change', show);
  show();
}

function isDryRun({ dryRun }: OutNode): boolean {
  const reading = readSaved(outSchema, { dryRun });
  return reading.ok && reading.settings.dryRun;
}

RED.nodes.registerType<OutProperties>('xandr-instant-audience-out', {
  category: 'xandr audience',
  color: '#8FC1B5',
  icon: 'audience-out.svg',
  align: 'right',
  paletteLabel: 'instant audience out',
  inputs: 1,
  outputs: 2,
  defaults: {
    name: { value: '' },
    account: { value: '', type: 'xandr-account', validate: validAccount },
    input: { value: 'payload', validate: valid('input') },
    inputType: { value: 'msg', validate: valid('inputType') },
    completeOn: { value: 'accepted', validate: valid('completeOn') },
    youngSegments: { value: 'warn', validate: valid('youngSegments') },
    lateAdds: { value: 'shorten', validate: valid('lateAdds') },
    allowUnknownFields: { value: false, validate: valid('allowUnknownFields') },
    dryRun: { value: false, validate: valid('dryRun') },
  },
  outputLabels: function (index) {
    return this._(index === 0 ? 'outputs.accepted' : 'outputs.rejected');
  },
  label: function () {
    const label = this.name || 'instant audience out';
    if (variableIn(this.dryRun) !== null) return this._('name.dryRunBy', { label, variable: this.dryRun });
    return isDryRun(this) ? this._('name.dryRun', { label }) : label;
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
});

completeOnLoad('xandr-instant-audience-out');
bringSandbox('xandr-instant-audience-out');
