// Segment rows of the form: one a segment, with drag, add and remove.
import type { ExpirationUnit, SegmentRow } from '../../../src/entry/index';
import { memberOfAccount } from '../../shared/editor/account';
import { keepSelectable, withVariable, type InputTypes } from '../../shared/editor/choices';
import { inputToSave, notSetType, showInput } from '../../shared/editor/not-set';
import { makePicker, type Segment } from '../../shared/editor/picker';
import type { EditorNode, EditorRed } from '../../types/red-editor';
import { takesTime } from '../schema';
import { newRow, wholeRow, type BuilderProperties, type NamedRow } from './properties';
import { nameInput, offerTypes, setInput, typesFor } from './typed-inputs';

declare const RED: EditorRed;

type Builder = EditorNode<BuilderProperties>;
type ConstantType = 'num' | 'str';

const list = '#instant-audience-segments';
/** The typed inputs of a row. */
const inputs = ['segment', 'member', 'value', 'expiration'] as const;
const units: readonly ExpirationUnit[] = ['minutes', 'hours', 'days', 'never', 'default'];
/** Data key of the segment picked for a row. */
const pickedKey = 'instantAudiencePicked';

/** @param changed called when the list has changed by itself, not by a field in it */
export function prepareRows(node: Builder, changed: () => void): void {
  $(list).editableList<Partial<NamedRow>>({
    height: 'auto',
    addButton: node._('segment-builder.label.addSegment'),
    sortable: true,
    removable: true,
    addItem: (container, _index, data) => {
      addRow(node, container, wholeRow(data), changed);
      const remove = container.siblings('.red-ui-editableList-item-remove');
      remove.attr('aria-label', RED._('editor:common.label.delete'));
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

/** A removal has no expiration and no value. */
export function showTimes(shown: boolean): void {
  for (const row of rowsInForm()) row.find('.instant-audience-time').toggle(shown);
}

/** The source has changed to or from items. */
export function offerRowTypes(node: Builder, items: boolean): void {
  for (const row of rowsInForm()) {
    for (const name of inputs) {
      const field = inputOf(row, name);
      const by = row.find('.instant-audience-by').val();
      offerTypes(node, field, items, constantsOf(node, name, by, field.typedInput('type')));
    }
  }
}

function inputOf(row: JQuery, name: (typeof inputs)[number]): JQuery {
  return row.find(`.instant-audience-of-${name}`);
}

/** An id is a number, a code a text; a type that depends on the runtime stays. */
function constantOf(by: unknown, type: string): ConstantType {
  return by === 'code' || (by !== 'id' && type === 'str') ? 'str' : 'num';
}

/** The types that a field of a row offers beside the sources of the node. */
function constantsOf(node: Builder, name: (typeof inputs)[number], by: unknown, type: string): InputTypes {
  if (name === 'segment') return [constantOf(by, type)];
  return name === 'value' ? [notSetType(node._('segment-builder.label.notSent')), 'num'] : ['num'];
}

/** Rows are dragged and removed, so their number in the list is no lasting name for their fields. */
let rowsMade = 0;

function addRow(node: Builder, container: JQuery, row: NamedRow, changed: () => void): void {
  const made = new RowMaker(node, container, row, ++rowsMade);
  const identity = made.line('by');
  const by = made.choice(['id', 'code'], row.by, 'by').addClass('instant-audience-by').appendTo(identity);
  made.input(identity, 'segment');
  const picked = $('<div>', { class: 'instant-audience-picked' });
  const place = $('<div>');
  container.append(picked, place);
  made.input(made.line('member', 'instant-audience-member-line'), 'member');
  const time = made.line('expiration', 'instant-audience-time');
  made.input(time, 'expiration');
  const unit = made.choice(units, row.expirationUnit, 'unit').addClass('instant-audience-unit');
  unit.attr('aria-label', node._('segment-builder.label.expirationUnit')).appendTo(time);
  made.input(made.line('value', 'instant-audience-time'), 'value');

  connectRow(node, container, by, unit);
  rememberName(container, row.segment, row.name ?? '');
  const pick = (segment: Segment): void => {
    takePicked(container, segment);
    showPicked(container);
    changed();
  };
  const { button, search } = makePicker(node, place, rowsMade, pick);
  identity.append(button);
  searchNames(inputOf(container, 'segment'), search);
  container.on('change keyup', () => showPicked(container));
  showPicked(container);
  // The list's own button is an icon without a name.
  container
    .siblings('.red-ui-editableList-item-remove')
    .attr('aria-label', RED._('editor:common.label.delete'));
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

  /** With a label for the field `name`, which tells the service's own word for it. */
  line(name: string, look = ''): JQuery {
    const label = $('<label>', { for: this.id(name) }).text(this.node._(`segment-builder.label.${name}`));
    label.attr('title', this.node._(`segment-builder.tip.${name}`));
    return $('<div>', { class: `instant-audience-line ${look}` })
      .append(label)
      .appendTo(this.container);
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

  input(line: JQuery, name: (typeof inputs)[number]): void {
    const { node, row } = this;
    const type = row[`${name}Type`];
    const wide = $('<div>', { class: 'instant-audience-value-of' }).appendTo(line);
    const input = $('<input>', {
      type: 'text',
      id: this.id(name),
      class: `instant-audience-of-${name}`,
      placeholder: name === 'segment' ? node._('segment-builder.placeholder.segment') : null,
      'aria-description': node._(`segment-builder.tip.${name}`),
    }).appendTo(wide);
    const constants = constantsOf(node, name, row.by, type);
    input.typedInput({ types: withVariable(typesFor(node, this.items, constants), type) });
    const constant = name === 'segment' ? constantOf(row.by, type) : 'num';
    const shown = type === 'str' ? constant : type;
    if (name === 'value') showInput(input, { value: row.value, type: shown });
    else setInput(input, shown, row[name]);
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
    const expiration = inputOf(row, 'expiration').closest('.instant-audience-value-of');
    expiration.toggle(takesTime(unit.val()));
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
  const segment = inputOf(row, 'segment');
  const constant: ConstantType = byCode ? 'str' : 'num';
  const was = segment.typedInput('type');
  const value = segment.typedInput('value');
  const types = typesFor(node, $('#node-input-source').val() === 'items', [constant]);
  segment.typedInput('types', withVariable(types, was));
  setInput(segment, was === 'num' || was === 'str' ? constant : was, value);
  const member = inputOf(row, 'member');
  if (byCode && member.typedInput('value') === '') member.typedInput('value', memberOfAccount());
}

// ── A segment that was picked from the member's list ────────────────────────────────────────────────────────────

/** A name typed where an id belongs goes into the search; the field keeps what it held. */
function searchNames(segment: JQuery, search: (text: string) => void): void {
  const input = segment.next('.red-ui-typedInput-container').find('.red-ui-typedInput-input');
  let before = '';
  input.on('focus', () => void (before = segment.typedInput('value')));
  // Characters that are being composed are no name yet, and a move of the focus would end them.
  input.on('input compositionend', ({ originalEvent }) => {
    const text = segment.typedInput('value');
    const isComposing = originalEvent instanceof InputEvent && originalEvent.isComposing;
    const isName = /\p{L}/u.test(text) && !text.includes('$');
    if (isComposing || segment.typedInput('type') !== 'num' || !isName) return;
    segment.typedInput('value', before);
    // Behind an id, only what was added is the name.
    search(text.startsWith(before) ? text.slice(before.length) : text);
  });
}

function takePicked(row: JQuery, { id, code, shortName, memberId }: Segment): void {
  const by = row.find('.instant-audience-by');
  // A segment without a code has its id only.
  if (code === null && by.val() === 'code') by.val('id').trigger('change');
  const byCode = by.val() === 'code';
  const value = byCode ? (code ?? '') : String(id);
  setInput(inputOf(row, 'segment'), byCode ? 'str' : 'num', value);
  rememberName(row, value, shortName ?? code ?? '');
  if (byCode && memberId !== null) setInput(inputOf(row, 'member'), 'num', String(memberId));
}

/** It is valid while the field holds this segment. */
function rememberName(row: JQuery, segment: string, name: string): void {
  row.data(pickedKey, { segment, name });
}

function nameOf(row: JQuery, segment: string): string {
  const named = row.data(pickedKey) as { segment: string; name: string } | undefined;
  return named?.segment === segment ? named.name : '';
}

function showPicked(row: JQuery): void {
  const name = nameOf(row, inputOf(row, 'segment').typedInput('value'));
  row
    .find('.instant-audience-picked')
    .text(name)
    .toggle(name !== '');
}

function readRow(row: JQuery): NamedRow {
  const read = inputs.flatMap((name) => {
    const { value, type } = inputToSave(inputOf(row, name), 'num');
    return [[name, value] as const, [`${name}Type`, type] as const];
  });
  const { segment, segmentType, ...others } = Object.fromEntries(read) as Omit<
    NamedRow,
    'by' | 'expirationUnit'
  >;
  const name = nameOf(row, segment);
  // In the order of earlier versions, so that the editor sees no change where there is none.
  return {
    by: row.find('.instant-audience-by').val() as SegmentRow['by'],
    segment,
    segmentType,
    ...(name === '' ? {} : { name }),
    ...others,
    expirationUnit: row.find('.instant-audience-unit').val() as ExpirationUnit,
  };
}
