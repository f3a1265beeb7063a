// Editor definition of the segment builder.
import { keepNames, reachConfigButtons } from '../shared/editor/accessible';
import { keepSelectable, keepVariable, withVariable, type InputTypes } from '../shared/editor/choices';
import { prepareConsent, readPurposes } from '../shared/editor/consent';
import { fieldValue, formClosed, formOpened } from '../shared/editor/fields';
import { notSetType, optionalInput } from '../shared/editor/not-set';
import { completeOnLoad, findByWord } from '../shared/editor/on-load';
import { useOnlyAccount } from '../shared/editor/account';
import { showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import { makeTabs } from '../shared/editor/tabs';
import type { EditorNode, EditorRed, Verdict } from '../types/red-editor';
import { offerDomainTypes, prepareDomain } from './editor/domain';
import { Preview } from './editor/preview';
import { labelOf, type BuilderProperties } from './editor/properties';
import { offerRowTypes, prepareRows, readRows, showTimes } from './editor/rows';
import { nameInput, offerTypes, typesFor } from './editor/typed-inputs';
import { verdictOn, type Property } from './editor/validate';
import { firstRow } from './schema';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;

/** A validator of Node-RED 3 and later: two parameters, and a sentence for what is wrong. */
function valid(property: Property) {
  return function (this: Builder, value: unknown, _options: unknown): Verdict {
    return verdictOn(this, property, value);
  };
}

findByWord('xandr-segment-builder', 'audience');
RED.nodes.registerType<BuilderProperties>('xandr-segment-builder', {
  category: 'xandr audience',
  color: '#8FC1B5',
  defaults: {
    name: { value: '' },
    account: { value: '', type: 'xandr-account', required: false },
    source: { value: 'message', validate: valid('source') },
    items: { value: 'payload', validate: valid('items') },
    itemsType: { value: 'msg' },
    userId: { value: 'payload.user', validate: valid('userId') },
    userIdType: { value: 'msg' },
    domain: { value: '', validate: valid('domain') },
    domainType: { value: 'str' },
    allowCustomDomain: { value: false, validate: valid('allowCustomDomain') },
    action: { value: 'add', validate: valid('action') },
    actionProperty: { value: '', validate: valid('actionProperty') },
    actionType: { value: 'msg' },
    segments: { value: [{ ...firstRow }], validate: valid('segments') },
    eventTime: { value: '', validate: valid('eventTime') },
    eventTimeType: { value: 'msg' },
    consent: { value: '', validate: valid('consent') },
    consentType: { value: 'msg' },
    consentVendor: { value: 32, validate: valid('consentVendor') },
    consentPurposes: { value: [], validate: valid('consentPurposes') },
    withoutConsent: { value: 'skip', validate: valid('withoutConsent') },
    output: { value: 'payload', validate: valid('output') },
    outputType: { value: 'msg' },
  },
  inputs: 1,
  outputs: 2,
  icon: 'segment-builder.svg',
  paletteLabel: 'segment builder',
  label() {
    return labelOf(this);
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  outputLabels(index) {
    return this._(`segment-builder.port.${index === 0 ? 'built' : 'invalid'}`);
  },
  onadd() {
    useOnlyAccount(this);
  },
  oneditprepare() {
    prepareForm(this);
  },
  oneditsave() {
    this.segments = readRows();
    this.consentPurposes = readPurposes() as number[];
    closeForm(this);
  },
  oneditcancel() {
    closeForm(this);
  },
  oneditdelete() {
    closeForm(this);
  },
});

completeOnLoad('xandr-segment-builder');

let preview: Preview | null = null;

function closeForm(node: Builder): void {
  preview?.close();
  preview = null;
  formClosed(node);
}

function prepareForm(node: Builder): void {
  const form = $('.instant-audience-builder');
  let look = (): void => undefined;
  useStyle();
  prepareTabs(node);
  prepareInputs(node);
  prepareDomain(node);
  prepareRows(node, () => look());
  connectForm(node);
  const account = $('#node-input-account').attr('aria-describedby', 'instant-audience-account-hint');
  keepVariable(account, node.account);
  reachConfigButtons(account, 'xandr-account');
  keepNames(form);
  // From here on there are fields to read.
  formOpened(node);
  look = showProblems(form, checkedFields(node));
  preview = new Preview(node);
}

function prepareTabs(node: Builder): void {
  const tabs = (['entry', 'preview'] as const).map((name) => ({
    id: `instant-audience-tab-${name}`,
    label: node._(`segment-builder.tab.${name}`),
  }));
  makeTabs('instant-audience-builder-tabs', tabs, (panel) => {
    if (panel === 'instant-audience-tab-preview') void preview?.update();
  });
}

function prepareInputs(node: Builder): void {
  const items = node.source === 'items';
  const make = (
    property: string,
    typeField: keyof BuilderProperties,
    types: ReturnType<typeof typesFor>,
  ): void => {
    const field = $(`#node-input-${property}`);
    field.typedInput({ types: withVariable(types, node[typeField]), typeField: `#node-input-${typeField}` });
    nameInput(node, field, property);
  };
  keepSelectable($('#node-input-source'), node.source);
  keepSelectable($('#node-input-action'), node.action);
  make('items', 'itemsType', ['msg', 'flow', 'global', 'jsonata']);
  make('userId', 'userIdType', typesFor(node, items, ['str']));
  make('actionProperty', 'actionType', typesFor(node, items));
  make('output', 'outputType', ['msg']);
  optionalInput('eventTime', withVariable(typesFor(node, items, eventTimeTypes(node)), node.eventTimeType));
  nameInput(node, $('#node-input-eventTime'), 'eventTime');
  optionalInput('consent', withVariable(typesFor(node, items, consentTypes(node)), node.consentType));
  nameInput(node, $('#node-input-consent'), 'consent');
}

function consentTypes(node: Builder): InputTypes {
  return [notSetType(node._('segment-builder.label.notChecked'))];
}

function eventTimeTypes(node: Builder): InputTypes {
  return [notSetType(node._('segment-builder.label.arrivalTime'))];
}

function connectForm(node: Builder): void {
  const source = $('#node-input-source');
  const action = $('#node-input-action');
  const hasItems = (): boolean => source.val() === 'items';
  const mayAdd = (): boolean => action.val() !== 'remove';
  const showConsent = prepareConsent(node, node, mayAdd);
  const show = (): void => {
    $('#instant-audience-items').toggle(hasItems());
    $('#instant-audience-action-property').toggle(action.val() === 'property');
    showTimes(mayAdd());
    showConsent();
  };
  // The editor also triggers changes that are none.
  let items = hasItems();
  source.on('change', () => {
    if (hasItems() === items) return;
    items = hasItems();
    show();
    offerTypes(node, $('#node-input-userId'), items, ['str']);
    offerTypes(node, $('#node-input-actionProperty'), items);
    offerTypes(node, $('#node-input-eventTime'), items, eventTimeTypes(node));
    offerTypes(node, $('#node-input-consent'), items, consentTypes(node));
    offerDomainTypes(node, items);
    offerRowTypes(node, items);
  });
  action.on('change', show);
  show();
}

/** Properties that more than one field makes up. */
const lists: Partial<Record<Property, { readonly place: string; readonly read: () => unknown }>> = {
  segments: { place: '#instant-audience-segments', read: readRows },
  consentPurposes: { place: '#instant-audience-purposes', read: readPurposes },
};

/** The fields whose problems are told below them; those that the form does not show have none. */
function checkedFields(node: Builder): Parameters<typeof showProblems>[1] {
  const { defaults } = RED.nodes.getType('xandr-segment-builder');
  const names = Object.keys(defaults).filter((name) => defaults[name]!.validate !== undefined);
  return (names as Property[]).map((name) => {
    const list = lists[name];
    const field = $(list?.place ?? `#node-input-${name}`);
    const verdict = (): Verdict =>
      verdictOn(node, name, list === undefined ? fieldValue(field) : list.read());
    return { name, field, verdict };
  });
}
