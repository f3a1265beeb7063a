// Form rows of consent, of builder and sync node: the purposes as boxes, and the rows that only a used consent shows.
import type { EditorNode } from '../../types/red-editor';
import { purposeCount } from '../consent';
import { plainText, variableIn } from '../saved';
import { keepSelectable } from './choices';
import { isNotSet } from './not-set';

/** The properties beside the typed input, as saved; a flow file may hold anything. */
interface Saved {
  readonly consentPurposes: unknown;
  readonly withoutConsent: unknown;
}

const words = '@instant-audience/node-red-xandr/xandr-segment-builder:segment-builder.purpose';
const list = '#instant-audience-purposes';

/**
 * Call it once the typed input is one. Returns what shows the rows again.
 *
 * @param mayAdd whether the node adds users: a removal needs no consent
 */
export function prepareConsent(node: EditorNode<object>, saved: Saved, mayAdd: () => boolean): () => void {
  keepSelectable($('#node-input-withoutConsent'), saved.withoutConsent);
  showPurposes(node, saved.consentPurposes);
  const input = $('#node-input-consent');
  const show = (): void => {
    $('#instant-audience-consent-row').toggle(mayAdd());
    $('.instant-audience-with-consent').toggle(mayAdd() && !isNotSet(input));
  };
  input.on('change', show);
  show();
  return show;
}

/** A variable stays a text. */
function showPurposes(node: EditorNode<object>, saved: unknown): void {
  if (typeof saved === 'string' && variableIn(saved) !== null) {
    const text = $('<input>', { type: 'text', 'aria-labelledby': 'instant-audience-purposes-label' }).val(
      saved,
    );
    $(list).append($('<li>').append(text));
    return;
  }
  const chosen = new Set((Array.isArray(saved) ? saved : (plainText(saved) ?? '').split(',')).map(Number));
  for (let purpose = 1; purpose <= purposeCount; purpose++) {
    const box = $('<input>', { type: 'checkbox', value: purpose }).prop('checked', chosen.has(purpose));
    const name = $('<span>').text(`${purpose}. ${node._(`${words}.${purpose}`)}`);
    $(list).append($('<li>').append($('<label>').append(box, name)));
  }
}

/** As they stand in the form. */
export function readPurposes(): number[] | string {
  const text = $(list).find('input[type=text]');
  if (text.length > 0) return String(text.val());
  return $(list)
    .find('input:checked')
    .toArray()
    .map((box) => Number((box as HTMLInputElement).value));
}
