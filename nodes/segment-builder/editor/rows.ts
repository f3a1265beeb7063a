// The list of segments in the form: one row a segment, dragged, added and removed.
import type { ExpirationUnit, SegmentRow } from '../../../src/audience/builder-config';
import type { EditorNode, EditorRed } from '../../types/red-editor';
import { newRow, takesTime, type BuilderProperties } from './properties';
import { offerTypes, typesFor } from './typed-inputs';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;
type ConstantType = 'num' | 'str';

const list = '#instant-audience-segments';
const units: readonly ExpirationUnit[] = ['minutes', 'hours', 'days', 'never', 'default'];

export function prepareRows(node: Builder): void {
  $(list)
    .css('min-width', '400px')
    .editableList<Partial<SegmentRow>>({
      height: 'auto',
      addButton: node._('segment-builder.label.addSegment'),
      sortable: true,
      removable: true,
      addItem: (container, _index, data) => {
        addRow(node, container, { ...newRow(), ...data });
      },
    });
  const rows = Array.isArray(node.segments) ? node.segments : [];
  $(list).editableList('addItems', rows.length > 0 ? rows : [newRow()]);
}

/** The rows as they stand in the form. */
export function readRows(): SegmentRow[] {
  return $(list)
    .editableList('items')
    .toArray()
    .map((element) => readRow($(element)));
}

/** Offers the types that fit the source, and hides what a removal does not have. */
export function updateRows(node: Builder, items: boolean, removes: boolean, moved: boolean): void {
  $(list)
    .editableList('items')
    .each((_index, element) => {
      const row = $(element);
      row.find('.instant-audience-time').toggle(!removes);
      for (const [field, constant] of fieldsOf(row)) {
        offerTypes(field, typesFor(node, items, [constant]), moved ? items : null);
      }
    });
}

function fieldsOf(row: JQuery): [JQuery, ConstantType][] {
  const byCode = row.find('.instant-audience-by').val() === 'code';
  return [
    [row.find('.instant-audience-segment'), byCode ? 'str' : 'num'],
    [row.find('.instant-audience-member'), 'num'],
    [row.find('.instant-audience-value'), 'num'],
    [row.find('.instant-audience-expiration'), 'num'],
  ];
}

/** Rows are dragged and removed, so their number in the list is no lasting name for their fields. */
let rowsMade = 0;

function addRow(node: Builder, container: JQuery, row: SegmentRow): void {
  const number = ++rowsMade;
  const id = (name: string): string => `instant-audience-${name}-${number}`;
  const label = (name: string, target: string): JQuery =>
    $('<label>', { for: target }).text(node._(`segment-builder.label.${name}`));
  const line = (name: string): JQuery =>
    $('<div>', { class: `instant-audience-row ${name}` }).appendTo(container);
  const items = $('#node-input-source').val() === 'items';
  const field = (parent: JQuery, name: string, target: string, value: string, type: string): JQuery => {
    const wide = $('<div>', { class: 'instant-audience-wide' }).appendTo(parent);
    const input = $('<input>', { type: 'text', id: target, class: `instant-audience-${name}` });
    if (name === 'member' || name === 'value') {
      input.attr('placeholder', node._(`segment-builder.placeholder.${name}`));
    }
    input.appendTo(wide);
    const constant: ConstantType = name === 'segment' && row.by === 'code' ? 'str' : 'num';
    input.typedInput({ default: constant, types: typesFor(node, items, [constant]) });
    input.typedInput('type', type === 'str' ? constant : type);
    input.typedInput('value', value);
    return input;
  };

  const first = line('instant-audience-identity');
  const by = select(node, ['id', 'code'], row.by).addClass('instant-audience-by').attr('id', id('by'));
  first.append(label('by', id('by')), by);
  field(first, 'segment', id('segment'), row.segment, row.segmentType);

  const second = line('instant-audience-member-line');
  second.append(label('member', id('member')));
  field(second, 'member', id('member'), row.member, row.memberType);

  const third = line('instant-audience-time');
  third.append(label('expiration', id('expiration')));
  field(third, 'expiration', id('expiration'), row.expiration, row.expirationType);
  const unit = select(node, units, row.expirationUnit).addClass('instant-audience-unit');
  third.append(unit.attr('aria-label', node._('segment-builder.label.expirationUnit')));

  const fourth = line('instant-audience-time');
  fourth.append(label('value', id('value')));
  field(fourth, 'value', id('value'), row.value, row.valueType);

  connectRow(node, container, by, unit);
}

/** What shows in a row depends on how the segment is named, on the unit, and on whether the node removes. */
function connectRow(node: Builder, row: JQuery, by: JQuery, unit: JQuery): void {
  const show = (): void => {
    row.find('.instant-audience-member-line').toggle(by.val() === 'code');
    row.find('.instant-audience-time').toggle($('#node-input-action').val() !== 'remove');
    const expiration = row.find('.instant-audience-expiration').closest('.instant-audience-wide');
    expiration.toggle(takesTime({ ...newRow(), expirationUnit: unit.val() as ExpirationUnit }));
  };
  by.on('change', () => {
    renameSegment(node, row, by.val() === 'code');
    show();
  });
  unit.on('change', show);
  show();
}

/** An id written into the form is a number, a code a text; the account's member owns its codes unless told otherwise. */
function renameSegment(node: Builder, row: JQuery, byCode: boolean): void {
  const segment = row.find('.instant-audience-segment');
  const constant: ConstantType = byCode ? 'str' : 'num';
  const was = segment.typedInput('type');
  const value = segment.typedInput('value');
  segment.typedInput('types', typesFor(node, $('#node-input-source').val() === 'items', [constant]));
  segment.typedInput('type', was === 'num' || was === 'str' ? constant : was);
  segment.typedInput('value', value);
  const member = row.find('.instant-audience-member');
  if (byCode && member.typedInput('value') === '') member.typedInput('value', memberOfAccount());
}

function memberOfAccount(): string {
  const member = RED.nodes.node(String($('#node-input-account').val()))?.member;
  return typeof member === 'string' || typeof member === 'number' ? String(member) : '';
}

function select(node: Builder, values: readonly string[], chosen: string): JQuery {
  const options = values.map((value) =>
    $('<option>', { value }).text(node._(`segment-builder.option.${value}`)),
  );
  return $('<select>').append(options).val(chosen);
}

function readRow(row: JQuery): SegmentRow {
  const read = (name: string): readonly [string, string] => {
    const input = row.find(`.instant-audience-${name}`);
    return [input.typedInput('value'), input.typedInput('type')];
  };
  const [segment, segmentType] = read('segment');
  const [member, memberType] = read('member');
  const [value, valueType] = read('value');
  const [expiration, expirationType] = read('expiration');
  return {
    by: row.find('.instant-audience-by').val() === 'code' ? 'code' : 'id',
    segment,
    segmentType,
    member,
    memberType,
    value,
    valueType,
    expiration,
    expirationType,
    expirationUnit: row.find('.instant-audience-unit').val() as ExpirationUnit,
  };
}
