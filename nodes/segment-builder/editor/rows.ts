// Segment rows of the form: one a segment, with drag, add and remove.
import type { ExpirationUnit, SegmentRow } from '../../../src/entry/index';
import { keepSelectable, withVariable } from '../../shared/editor/choices';
import type { EditorNode, EditorRed } from '../../types/red-editor';
import { makePicker, type Picked } from './picker';
import { newRow, takesTime, wholeRow, type BuilderProperties, type NamedRow } from './properties';
import { nameInput, offerTypes, typesFor } from './typed-inputs';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;
type ConstantType = 'num' | 'str';

const list = '#instant-audience-segments';
const units: readonly ExpirationUnit[] = ['minutes', 'hours', 'days', 'never', 'default'];
/** Data key of the segment picked for a row. */
const pickedKey = 'instantAudiencePicked';

/** The segment's name is valid while the field holds the picked value. */
interface Named {
  readonly segment: string;
  readonly name: string;
}

/** @param changed called when the list has changed by itself, not by a field in it */
export function prepareRows(node: Builder, changed: () => void): void {
  $(list).editableList<Partial<NamedRow>>({
    height: 'auto',
    addButton: node._('segment-builder.label.addSegment'),
    sortable: true,
    removable: true,
    addItem: (container, _index, data) => {
      addRow(node, container, wholeRow(data), changed);
      changed();
    },
    removeItem: changed,
    sortItems: changed,
  });
  const rows = Array.isArray(node.segments) ? node.segments : [];
  $(list).editableList('addItems', rows.length > 0 ? rows : [newRow()]);
}

/** The rows of the form. */
export function readRows(): NamedRow[] {
  return rowsInForm().map(readRow);
}

/** While a row is dragged, the list also holds a placeholder for its new place. */
function rowsInForm(): JQuery[] {
  return $(list)
    .editableList('items')
    .toArray()
    .map((element) => $(element))
    .filter((row) => row.find('.instant-audience-of-segment').length > 0);
}

/** Offers the types that fit the source, and hides what a removal does not have. */
export function updateRows(node: Builder, items: boolean, removes: boolean, moved: boolean): void {
  for (const row of rowsInForm()) {
    row.find('.instant-audience-time').toggle(!removes);
    for (const [field, constant] of fieldsOf(row)) {
      offerTypes(field, typesFor(node, items, [constant]), moved ? items : null);
    }
  }
}

function fieldsOf(row: JQuery): [JQuery, ConstantType][] {
  const segment = row.find('.instant-audience-of-segment');
  return [
    [segment, constantOf(row.find('.instant-audience-by').val(), segment.typedInput('type'))],
    [row.find('.instant-audience-of-member'), 'num'],
    [row.find('.instant-audience-of-value'), 'num'],
    [row.find('.instant-audience-of-expiration'), 'num'],
  ];
}

/** An id is a number, a code a text; a type that depends on the runtime stays. */
function constantOf(by: unknown, type: string): ConstantType {
  return by === 'code' || (by !== 'id' && type === 'str') ? 'str' : 'num';
}

/** Rows are dragged and removed, so their number in the list is no lasting name for their fields. */
let rowsMade = 0;

function addRow(node: Builder, container: JQuery, row: NamedRow, changed: () => void): void {
  const made = new RowMaker(node, container, row, ++rowsMade);
  const identity = made.line();
  const by = made.choice(['id', 'code'], row.by, 'by').addClass('instant-audience-by');
  identity.append(made.label('by', 'by', 'by'), by);
  made.input(identity, 'segment', row.segment, row.segmentType);
  const picked = $('<div>', { class: 'instant-audience-picked' });
  const place = $('<div>');
  container.append(picked, place);

  const member = made.line('instant-audience-member-line');
  member.append(made.label('member', 'member', 'member'));
  made.input(member, 'member', row.member, row.memberType);

  const time = made.line('instant-audience-time');
  time.append(made.label('expiration', 'expiration', 'expiration'));
  made.input(time, 'expiration', row.expiration, row.expirationType);
  const unit = made.choice(units, row.expirationUnit, 'unit').addClass('instant-audience-unit');
  time.append(unit.attr('aria-label', node._('segment-builder.label.expirationUnit')));

  const value = made.line('instant-audience-time');
  value.append(made.label('value', 'value', 'value'));
  made.input(value, 'value', row.value, row.valueType);

  connectRow(node, container, by, unit);
  rememberName(container, { segment: row.segment, name: row.name ?? '' });
  const pick = (segment: Picked): void => {
    takePicked(container, segment);
    showPicked(container);
    changed();
  };
  identity.append(makePicker(node, place, rowsMade, pick));
  container.on('change keyup', () => showPicked(container));
  showPicked(container);
}

/** The parts of one row. */
class RowMaker {
  private readonly items = $('#node-input-source').val() === 'items';

  constructor(
    private readonly node: Builder,
    private readonly container: JQuery,
    private readonly row: NamedRow,
    private readonly number: number,
  ) {
    container.addClass('instant-audience-segment');
  }

  line(name = ''): JQuery {
    return $('<div>', { class: `instant-audience-line ${name}` }).appendTo(this.container);
  }

  /** `tip` is the service's own word, explained. */
  label(word: string, target: string, tip: string): JQuery {
    const label = $('<label>', { for: this.id(target) }).text(this.node._(`segment-builder.label.${word}`));
    return label.attr('title', this.node._(`segment-builder.tip.${tip}`));
  }

  choice(values: readonly string[], chosen: string, name: string): JQuery {
    const options = values.map((value) =>
      $('<option>', { value }).text(this.node._(`segment-builder.option.${value}`)),
    );
    const list = $('<select>', { id: this.id(name) })
      .append(options)
      .val(chosen);
    keepSelectable(list, chosen);
    return list;
  }

  input(
    line: JQuery,
    name: 'segment' | 'member' | 'value' | 'expiration',
    value: string,
    type: string,
  ): void {
    const { node, row, items } = this;
    const wide = $('<div>', { class: 'instant-audience-value-of' }).appendTo(line);
    const input = $('<input>', {
      type: 'text',
      id: this.id(name),
      class: `instant-audience-of-${name}`,
      placeholder: node._(`segment-builder.placeholder.${name}`),
      'aria-description': node._(`segment-builder.tip.${name}`),
    }).appendTo(wide);
    const constant = name === 'segment' ? constantOf(row.by, type) : 'num';
    input.typedInput({ default: constant, types: withVariable(typesFor(node, items, [constant]), type) });
    input.typedInput('type', type === 'str' ? constant : type);
    input.typedInput('value', value);
    nameInput(node, input, name);
  }

  private id(name: string): string {
    return `instant-audience-${name}-${this.number}`;
  }
}

/** What shows in a row depends on how the segment is named, on the unit, and on whether the node removes. */
function connectRow(node: Builder, row: JQuery, by: JQuery, unit: JQuery): void {
  const show = (): void => {
    row.find('.instant-audience-member-line').toggle(by.val() !== 'id');
    row.find('.instant-audience-time').toggle($('#node-input-action').val() !== 'remove');
    const expiration = row.find('.instant-audience-of-expiration').closest('.instant-audience-value-of');
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
  const segment = row.find('.instant-audience-of-segment');
  const constant: ConstantType = byCode ? 'str' : 'num';
  const was = segment.typedInput('type');
  const value = segment.typedInput('value');
  const types = typesFor(node, $('#node-input-source').val() === 'items', [constant]);
  segment.typedInput('types', withVariable(types, was));
  segment.typedInput('type', was === 'num' || was === 'str' ? constant : was);
  segment.typedInput('value', value);
  const member = row.find('.instant-audience-of-member');
  if (byCode && member.typedInput('value') === '') member.typedInput('value', memberOfAccount());
}

function memberOfAccount(): string {
  const account = RED.nodes.node(String($('#node-input-account').val()));
  if (account?.environment === 'sandbox') return '1';
  const member = account?.member;
  return typeof member === 'string' || typeof member === 'number' ? String(member) : '';
}

// ── A segment that was picked from the member's list ────────────────────────────────────────────────────────────

function takePicked(row: JQuery, { id, code, name, member }: Picked): void {
  const by = row.find('.instant-audience-by');
  // A segment without a code has its id only.
  if (code === null && by.val() === 'code') by.val('id').trigger('change');
  const byCode = by.val() === 'code';
  const segment = row.find('.instant-audience-of-segment');
  const value = byCode ? (code ?? '') : String(id);
  segment.typedInput('type', byCode ? 'str' : 'num');
  segment.typedInput('value', value);
  rememberName(row, { segment: value, name: name ?? code ?? '' });
  if (byCode && member !== null) {
    const owner = row.find('.instant-audience-of-member');
    owner.typedInput('type', 'num');
    owner.typedInput('value', String(member));
  }
}

function rememberName(row: JQuery, named: Named): void {
  row.data(pickedKey, named);
}

function nameOf(row: JQuery, segment: string): string {
  const named = row.data(pickedKey) as Named | undefined;
  return named?.segment === segment ? named.name : '';
}

function showPicked(row: JQuery): void {
  const name = nameOf(row, row.find('.instant-audience-of-segment').typedInput('value'));
  row
    .find('.instant-audience-picked')
    .text(name)
    .toggle(name !== '');
}

function readRow(row: JQuery): NamedRow {
  const read = (name: string): readonly [string, string] => {
    const input = row.find(`.instant-audience-of-${name}`);
    return [input.typedInput('value'), input.typedInput('type')];
  };
  const [segment, segmentType] = read('segment');
  const [member, memberType] = read('member');
  const [value, valueType] = read('value');
  const [expiration, expirationType] = read('expiration');
  const name = nameOf(row, segment);
  return {
    by: row.find('.instant-audience-by').val() as SegmentRow['by'],
    segment,
    segmentType,
    ...(name === '' ? {} : { name }),
    member,
    memberType,
    value,
    valueType,
    expiration,
    expirationType,
    expirationUnit: row.find('.instant-audience-unit').val() as ExpirationUnit,
  };
}
