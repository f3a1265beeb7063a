// The out node in the editor: its defaults, its validators, its label, and a form in words.
import { completeTypedInput, keepNames, reachConfigButtons } from '../shared/editor/accessible';
import { keepSelectable } from '../shared/editor/choices';
import { migrateOnLoad } from '../shared/editor/on-load';
import { awaitFirstAccount, offerOnlyAccount, useOnlyAccount } from '../shared/editor/only-account';
import { showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import { accountOf, validAccount, type SavedAccount } from '../shared/editor/valid-account';
import type { EditorNode, EditorRed } from '../types/red-editor';

declare const RED: EditorRed;

interface OutProperties {
  name: string;
  account: string;
  input: string;
  inputType: string;
  completeOn: string;
  youngSegments: string;
  lateAdds: string;
  allowUnknownFields: boolean;
  dryRun: boolean;
}

type OutNode = EditorNode<OutProperties>;

function validInput(this: OutNode, value: unknown, _options: unknown): true | string {
  if (value === undefined) {
    return true;
  }
  if (typeof value !== 'string' || value.trim() === '') {
    return this._('invalid.input_missing');
  }
  return RED.utils.validatePropertyExpression(value) ? true : this._('invalid.input_invalid');
}

function validCompleteOn(this: OutNode, value: unknown, _options: unknown): true | string {
  return value === undefined || value === 'accepted' || value === 'queued'
    ? true
    : this._('invalid.completeOn_unknown');
}

function validYoungSegments(this: OutNode, value: unknown, _options: unknown): true | string {
  const known = value === undefined || (typeof value === 'string' && Object.hasOwn(youngHints, value));
  return known ? true : this._('invalid.youngSegments_unknown');
}

function validLateAdds(this: OutNode, value: unknown, _options: unknown): true | string {
  const known = value === undefined || (typeof value === 'string' && Object.hasOwn(lateHints, value));
  return known ? true : this._('invalid.lateAdds_unknown');
}

const youngHints: Record<string, string> = {
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

function prepareForm(node: OutNode): void {
  const input = $('#node-input-input');
  const account = $('#node-input-account');
  useStyle();
  keepSelectable($('#node-input-completeOn'), node.completeOn, (text) => text);
  keepSelectable($('#node-input-youngSegments'), node.youngSegments, (text) => text);
  keepSelectable($('#node-input-lateAdds'), node.lateAdds, (text) => text);
  input.typedInput({ default: 'msg', types: ['msg'], typeField: '#node-input-inputType' });
  const label = node._('label.input');
  completeTypedInput(input, label, node._('label.typeOf', { field: label }));
  reachConfigButtons(account, 'xandr-account');
  keepNames($('.instant-audience-out'));
  offerOnlyAccount(account);
  showHints(node, account);
  showProblems($('.instant-audience-out'), [
    { name: 'account', field: account, verdict: () => validAccount.call(node, account.val(), {}) },
    { name: 'input', field: input, verdict: () => validInput.call(node, input.val(), {}) },
  ]);
}

function showHints(node: OutNode, account: JQuery): void {
  const completeOn = $('#node-input-completeOn');
  const show = (): void => {
    const hint = completeOnHint(completeOn.val(), accountOf(account.val()));
    $('#instant-audience-complete-hint').text(node._(hint));
  };
  completeOn.on('change', show);
  showHintOf(node, 'youngSegments', youngHints, $('#instant-audience-young-hint'));
  showHintOf(node, 'lateAdds', lateHints, $('#instant-audience-late-hint'));
  // The list of accounts is replaced after another one was added, which fires `change` too.
  account.on('change', show);
  show();
}

/** Below a choice, what the chosen value means. */
function showHintOf(node: OutNode, property: string, hints: Record<string, string>, place: JQuery): void {
  const choice = $(`#node-input-${property}`);
  const show = (): void => void place.text(node._(hints[String(choice.val())] ?? 'completeOn.otherHint'));
  choice.on('change', show);
  show();
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
    input: { value: 'payload', validate: validInput },
    inputType: { value: 'msg' },
    completeOn: { value: 'accepted', validate: validCompleteOn },
    youngSegments: { value: 'warn', validate: validYoungSegments },
    lateAdds: { value: 'shorten', validate: validLateAdds },
    allowUnknownFields: { value: false },
    dryRun: { value: false },
  },
  outputLabels: function (index) {
    return this._(index === 0 ? 'outputs.accepted' : 'outputs.rejected');
  },
  label: function () {
    const account = accountOf(this.account);
    const to =
      account === null
        ? this._('name.plain')
        : this._('name.to', { account: RED.utils.getNodeLabel(account, this.account) });
    const label = this.name || to;
    return this.dryRun ? this._('name.dryRun', { label }) : label;
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

migrateOnLoad('xandr-instant-audience-out');
awaitFirstAccount();
