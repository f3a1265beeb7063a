// The segment builder's definition in the editor.
import type { EditorNode, EditorRed } from '../types/red-editor';
import { offerDomainTypes, prepareDomain } from './editor/domain';
import { labelOf } from './editor/label';
import { newRow, type BuilderProperties } from './editor/properties';
import { prepareRows, readRows, updateRows } from './editor/rows';
import { offerTypes, typesFor } from './editor/typed-inputs';
import { domainVerdict, inputVerdict, segmentsVerdict } from './editor/validate';

declare const RED: EditorRed;

RED.nodes.registerType<BuilderProperties>('instant-audience-segment-builder', {
  category: 'audience',
  color: '#8FC1B5',
  defaults: {
    name: { value: '' },
    account: { value: '', type: 'instant-audience-account', required: false },
    source: { value: 'message' },
    items: {
      value: 'payload',
      validate(value, _options) {
        const items = ($('#node-input-source').val() ?? this.source) === 'items';
        return items ? inputVerdict(this, value, { typeKey: 'itemsType', label: 'items' }) : true;
      },
    },
    itemsType: { value: 'msg' },
    userId: {
      value: '',
      validate(value, _options) {
        return inputVerdict(this, value, { typeKey: 'userIdType', label: 'userId' });
      },
    },
    userIdType: { value: 'msg' },
    domain: {
      value: '',
      validate(value, _options) {
        return domainVerdict(this, value);
      },
    },
    domainType: { value: 'str' },
    allowCustomDomain: { value: false },
    action: { value: 'add' },
    actionProperty: {
      value: '',
      validate(value, _options) {
        const property = ($('#node-input-action').val() ?? this.action) === 'property';
        return property
          ? inputVerdict(this, value, { typeKey: 'actionType', label: 'actionProperty' })
          : true;
      },
    },
    actionType: { value: 'msg' },
    segments: {
      value: [newRow()],
      validate(value, _options) {
        return segmentsVerdict(this, value);
      },
    },
    eventTime: {
      value: '',
      validate(value, _options) {
        return inputVerdict(this, value, { typeKey: 'eventTimeType', label: 'eventTime', optional: true });
      },
    },
    eventTimeType: { value: 'msg' },
    output: {
      value: 'payload',
      validate(value, _options) {
        return inputVerdict(this, value, { typeKey: 'outputType', label: 'output' });
      },
    },
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
  oneditprepare() {
    prepareForm(this);
  },
  oneditsave() {
    this.segments = readRows();
  },
});

type Builder = EditorNode<BuilderProperties>;

function prepareForm(node: Builder): void {
  const items = node.source === 'items';
  $('#node-input-items').typedInput({
    types: ['msg', 'flow', 'global', 'jsonata'],
    typeField: '#node-input-itemsType',
  });
  $('#node-input-userId').typedInput({
    types: typesFor(node, items, ['str']),
    typeField: '#node-input-userIdType',
  });
  $('#node-input-actionProperty').typedInput({
    types: typesFor(node, items),
    typeField: '#node-input-actionType',
  });
  $('#node-input-eventTime').typedInput({
    types: typesFor(node, items),
    typeField: '#node-input-eventTimeType',
  });
  $('#node-input-output').typedInput({ types: ['msg'], typeField: '#node-input-outputType' });
  prepareDomain(node);
  prepareRows(node);
  connectForm(node);
}

function connectForm(node: Builder): void {
  const source = $('#node-input-source');
  const action = $('#node-input-action');
  const show = (moved: boolean): void => {
    const items = source.val() === 'items';
    $('#instant-audience-items').toggle(items);
    $('#instant-audience-removes').toggle(action.val() === 'remove');
    $('#instant-audience-action-property').toggle(action.val() === 'property');
    offerTypes($('#node-input-userId'), typesFor(node, items, ['str']), moved ? items : null);
    offerTypes($('#node-input-actionProperty'), typesFor(node, items), moved ? items : null);
    offerTypes($('#node-input-eventTime'), typesFor(node, items), moved ? items : null);
    offerDomainTypes(node, items, moved);
    updateRows(node, items, action.val() === 'remove', moved);
  };
  // The editor may trigger a change that is none.
  let shown = source.val();
  source.on('change', () => {
    const moved = source.val() !== shown;
    shown = source.val();
    show(moved);
  });
  action.on('change', () => show(false));
  show(false);
}
