// The out node in the editor: its defaults, its validators, its label, and a form in words.
import type { EditorNode, EditorRed } from '../types/red-editor';

declare const RED: EditorRed;

interface OutProperties {
  name: string;
  account: string;
  input: string;
  inputType: string;
  completeOn: string;
  youngSegments: string;
  dryRun: boolean;
}

type OutNode = EditorNode<OutProperties>;
type SavedAccount = Readonly<Record<string, unknown>>;

/** The account as the editor has it, also one that is not deployed yet. */
function accountOf(id: unknown): SavedAccount | null {
  return typeof id === 'string' && id !== '' ? RED.nodes.node(id) : null;
}

function validAccount(this: OutNode, value: unknown, _options: unknown): true | string {
  if (value === undefined || value === '' || value === '_ADD_') {
    return this._('invalid.account_missing');
  }
  const account = accountOf(value);
  if (account === null) {
    return this._('invalid.account_gone');
  }
  // Disabled in the editor.
  if (account.d === true) {
    return this._('invalid.account_off');
  }
  return account.valid === false ? this._('invalid.account_invalid') : true;
}

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

/** A value that the list does not offer, such as `${ENV}` from a file, must survive opening the form. */
function keepSelectable(select: JQuery, saved: unknown): void {
  if (typeof saved === 'string' && saved !== '' && select.val() !== saved) {
    select.append($('<option>').val(saved).text(saved)).val(saved);
  }
}

function completeOnHint(chosen: unknown, account: SavedAccount | null): string {
  if (chosen === 'queued') {
    return account?.queue === 'memory' ? 'completeOn.memoryHint' : 'completeOn.queuedHint';
  }
  return chosen === 'accepted' ? 'completeOn.acceptedHint' : 'completeOn.otherHint';
}

RED.nodes.registerType<OutProperties>('instant-audience-out', {
  category: 'audience',
  color: '#8FC1B5',
  icon: 'audience-out.svg',
  align: 'right',
  paletteLabel: 'instant audience out',
  inputs: 1,
  outputs: 2,
  defaults: {
    name: { value: '' },
    account: { value: '', type: 'instant-audience-account', validate: validAccount },
    input: { value: 'payload', validate: validInput },
    inputType: { value: 'msg' },
    completeOn: { value: 'accepted', validate: validCompleteOn },
    youngSegments: { value: 'warn' },
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
  oneditprepare: function () {
    const completeOn = $('#node-input-completeOn');
    const account = $('#node-input-account');
    keepSelectable(completeOn, this.completeOn);
    $('#node-input-input').typedInput({
      default: 'msg',
      types: ['msg'],
      typeField: '#node-input-inputType',
    });
    const showHint = () =>
      $('#instant-audience-complete-hint').text(
        this._(completeOnHint(completeOn.val(), accountOf(account.val()))),
      );
    completeOn.on('change', showHint);
    // The list of accounts is replaced after another one was added, which fires `change` too.
    account.on('change', showHint);
    showHint();
  },
});
