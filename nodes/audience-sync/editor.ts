// Editor definition of the audience sync: defaults, validators, label and form.
import type { EditorWidgetTypedInputType } from 'node-red';
import { knownDomains } from '../../src/entry/index';
import { completeTypedInput, keepNames, reachConfigButtons } from '../shared/editor/accessible';
import { bringSandbox, memberOfAccount, useOnlyAccount, validAccount } from '../shared/editor/account';
import {
  keepBox,
  keepSelectable,
  keepVariable,
  showHint,
  withVariable,
  type InputTypes,
} from '../shared/editor/choices';
import { prepareConsent, readPurposes } from '../shared/editor/consent';
import { formClosed, formOpened } from '../shared/editor/fields';
import { notSetType, optionalInput } from '../shared/editor/not-set';
import { completeOnLoad, findByWord } from '../shared/editor/on-load';
import { makePicker, type Segment } from '../shared/editor/picker';
import { checkedFields, showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import type { EditorRed, Verdict } from '../types/red-editor';
import { labelOf, type SyncEditorNode, type SyncProperties } from './editor/properties';
import { verdictOn } from './editor/validate';

declare const RED: EditorRed;

/** A validator of Node-RED 3 and later: two parameters, and a sentence for what is wrong. */
function valid(property: keyof SyncProperties) {
  return function (this: SyncEditorNode, value: unknown, _options: unknown): Verdict {
    return verdictOn(this, property, value);
  };
}

findByWord('xandr-audience-sync', 'segment database');
RED.nodes.registerType<SyncProperties>('xandr-audience-sync', {
  category: 'xandr audience',
  color: '#8FC1B5',
  icon: 'audience-sync.svg',
  align: 'right',
  paletteLabel: 'audience sync',
  inputs: 1,
  outputs: 2,
  defaults: {
    name: { value: '' },
    account: { value: '', type: 'xandr-account', validate: validAccount },
    segmentBy: { value: 'id', validate: valid('segmentBy') },
    segment: { value: '', validate: valid('segment') },
    segmentMember: { value: '', validate: valid('segmentMember') },
    segmentName: { value: '' },
    rows: { value: 'payload', validate: valid('rows') },
    rowsType: { value: 'msg' },
    userId: { value: 'id', validate: valid('userId') },
    userIdType: { value: 'item' },
    domain: { value: '', validate: valid('domain') },
    domainType: { value: 'str' },
    value: { value: '', validate: valid('value') },
    valueType: { value: 'num' },
    expiration: { value: '30', validate: valid('expiration') },
    expirationType: { value: 'num' },
    expirationUnit: { value: 'days', validate: valid('expirationUnit') },
    mode: { value: 'mirror', validate: valid('mode') },
    refresh: { value: 25, validate: valid('refresh') },
    maxRemovals: { value: 20, validate: valid('maxRemovals') },
    maxRemovalsUnit: { value: '%', validate: valid('maxRemovalsUnit') },
    emptyIsError: { value: true, validate: valid('emptyIsError') },
    preview: { value: false, validate: valid('preview') },
    runTimeoutMinutes: { value: 60, validate: valid('runTimeoutMinutes') },
    consent: { value: '', validate: valid('consent') },
    consentType: { value: 'msg' },
    consentVendor: { value: 32, validate: valid('consentVendor') },
    consentPurposes: { value: [], validate: valid('consentPurposes') },
    withoutConsent: { value: 'skip', validate: valid('withoutConsent') },
  },
  outputLabels: function (index) {
    return this._(index === 0 ? 'outputs.reports' : 'outputs.rejected');
  },
  label: function () {
    return labelOf(this);
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
    this.segmentName = pickedName;
    this.consentPurposes = readPurposes() as number[];
    formClosed(this);
  },
  oneditcancel: function () {
    formClosed(this);
  },
});

completeOnLoad('xandr-audience-sync');
bringSandbox('xandr-audience-sync');

// ── The form ────────────────────────────────────────────────────────────────────────────────────────────────────────

const checked = [
  ...(['segmentBy', 'segment', 'segmentMember', 'rows', 'userId', 'domain', 'value'] as const),
  ...(['expiration', 'expirationUnit', 'mode', 'refresh', 'maxRemovals', 'maxRemovalsUnit'] as const),
  ...(['emptyIsError', 'preview', 'runTimeoutMinutes'] as const),
  ...(['consent', 'consentVendor', 'withoutConsent'] as const),
];

function prepareForm(node: SyncEditorNode): void {
  const form = $('.instant-audience-sync');
  useStyle();
  for (const name of ['segmentBy', 'expirationUnit', 'mode', 'maxRemovalsUnit'] as const)
    keepSelectable($(`#node-input-${name}`), node[name]);
  for (const name of ['emptyIsError', 'preview'] as const) keepBox($(`#node-input-${name}`), node[name]);
  const account = $('#node-input-account');
  keepVariable(account, node.account);
  reachConfigButtons(account, 'xandr-account');
  prepareInputs(node);
  preparePicker(node);
  prepareConsent(node, node, () => true);
  connect(node);
  keepNames(form);
  formOpened(node);
  showProblems(form, [
    { name: 'account', field: account, verdict: () => validAccount.call(node, account.val(), {}) },
    ...checkedFields(checked, (name, value) => verdictOn(node, name, value)),
    {
      name: 'consentPurposes',
      field: $('#instant-audience-purposes'),
      verdict: () => verdictOn(node, 'consentPurposes', readPurposes()),
    },
  ]);
}

function prepareInputs(node: SyncEditorNode): void {
  const item = { value: 'item', label: node._('label.item'), hasValue: true };
  const sources: EditorWidgetTypedInputType[] = ['msg', 'flow', 'global', 'jsonata', 'env'];
  const make = (name: 'rows' | 'userId' | 'expiration', types: InputTypes): void => {
    const typeField = `${name}Type` as const;
    const offered = withVariable(types, node[typeField]);
    $(`#node-input-${name}`).typedInput({ types: offered, typeField: `#node-input-${typeField}` });
  };
  make('rows', ['msg', 'flow', 'global', 'jsonata']);
  make('userId', [item, ...sources]);
  make('expiration', ['num', item, ...sources]);
  const value = withVariable(['num', item, ...sources], node.valueType);
  optionalInput('value', [notSetType(node._('label.notSent')), ...value], 'num');
  const domain = withVariable([domainType(node), item, ...sources], node.domainType);
  optionalInput('domain', [notSetType(node._('domain.platform')), ...domain], 'str');
  const consent = withVariable([item, ...sources], node.consentType);
  optionalInput('consent', [notSetType(node._('label.notChecked')), ...consent]);
  for (const name of ['rows', 'userId', 'domain', 'value', 'expiration', 'consent'] as const) {
    const field = node._(`label.${name}`);
    completeTypedInput($(`#node-input-${name}`), field, node._('label.typeOf', { field }));
  }
}

/** The documented kinds of device ids, as a list to choose from. */
function domainType(node: SyncEditorNode): InputTypes[number] {
  const kinds = knownDomains.filter((kind) => kind !== 'sh1udid' || node.domain === kind);
  const options = kinds.map((value) => ({ value, label: node._(`domain.${value}`) }));
  const own = node.domainType === 'str' && node.domain !== '' && !kinds.includes(node.domain);
  return {
    value: 'str',
    label: node._('label.deviceId'),
    options: own ? [...options, { value: node.domain, label: node.domain }] : options,
  };
}

/** The name of the segment in the open form, if it was picked. */
let pickedName = '';

function preparePicker(node: SyncEditorNode): void {
  const segment = $('#node-input-segment');
  const picked = $('#instant-audience-picked');
  const show = (name: string): void => {
    pickedName = name;
    picked.text(name).toggle(name !== '');
  };
  const pick = ({ id, code, shortName, memberId }: Segment): void => {
    const by = $('#node-input-segmentBy');
    // A segment without a code has its id only.
    if (code === null && by.val() === 'code') by.val('id').trigger('change');
    const byCode = by.val() === 'code';
    segment.val(byCode ? (code ?? '') : String(id)).trigger('change');
    if (byCode && memberId !== null) $('#node-input-segmentMember').val(String(memberId)).trigger('change');
    show(shortName ?? code ?? '');
  };
  const { button, search } = makePicker(node, $('#instant-audience-picker'), 1, pick);
  segment.after(button);
  segment.on('input', () => {
    const text = String(segment.val());
    show('');
    // A name typed where an ID belongs goes into the search.
    if ($('#node-input-segmentBy').val() !== 'id' || !/\p{L}/u.test(text) || text.includes('$')) return;
    segment.val('');
    search(text);
  });
  show(node.segmentName);
}

function connect(node: SyncEditorNode): void {
  const shown = (list: string, row: string, when: (value: unknown) => boolean): void => {
    const field = $(`#node-input-${list}`);
    const show = (): void => void $(row).toggle(when(field.val()));
    field.on('change', show);
    show();
  };
  const member = $('#node-input-segmentMember');
  const by = $('#node-input-segmentBy');
  by.on('change', () => {
    if (by.val() === 'code' && member.val() === '') member.val(memberOfAccount()).trigger('change');
  });
  shown('segmentBy', '#instant-audience-member', (value) => value !== 'id');
  shown('mode', '#instant-audience-removals', (value) => value !== 'add');
  const time = $('#node-input-expiration').next('.red-ui-typedInput-container');
  const unit = $('#node-input-expirationUnit');
  const showTime = (): void => void time.toggle(unit.val() !== 'never');
  unit.on('change', showTime);
  showTime();
  const hints = { mirror: 'mode.mirrorHint', add: 'mode.addHint' };
  showHint(node, $('#node-input-mode'), $('#instant-audience-mode-hint'), hints, 'mode.otherHint');
}
