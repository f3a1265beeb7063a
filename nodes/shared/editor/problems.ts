// Problems of a field, as a sentence below it that screen readers announce.
import { fieldValue } from './fields';

/** A field, its validator, and its current value. */
export interface Checked {
  /** The field or its stand-in; the sentence goes to the end of its row. */
  readonly field: JQuery;
  /** The name of the property. */
  readonly name: string;
  /** true, or the problem. */
  readonly verdict: () => true | string | readonly string[];
}

/** Of these fields of the form, by their names. */
export function checkedFields<Name extends string>(
  names: readonly Name[],
  verdictOn: (name: Name, value: unknown) => ReturnType<Checked['verdict']>,
  prefix = 'node-input',
): Checked[] {
  return names.map((name) => {
    const field = $(`#${prefix}-${name}`);
    return { name, field, verdict: () => verdictOn(name, fieldValue(field)) };
  });
}

/** Keeps the sentences of an open form up to date. Returns a function to call when the form changes without an event. */
export function showProblems(form: JQuery, checked: readonly Checked[]): () => void {
  let isDue = false;
  // The editor triggers a change of each property as the form opens; all of them are answered at once.
  const lookSoon = (): void => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      for (const one of checked) show(one);
    });
  };
  // The editor's own marks come with the same events; a field's problem may depend on any other field.
  form.on('change keyup input', lookSoon);
  lookSoon();
  return lookSoon;
}

function show({ field, name, verdict }: Checked): void {
  const found = verdict();
  const sentences = found === true ? [] : typeof found === 'string' ? [found] : found;
  const id = `instant-audience-problem-${name}`;
  const place = placeOf(field, id);
  const text = sentences.join('\n');
  if (place.text() !== text) place.text(text);
  place.toggle(text !== '');
  const input = inputOf(field);
  input.attr('aria-invalid', text === '' ? null : 'true');
  describe(input, id, text !== '');
}

function placeOf(field: JQuery, id: string): JQuery {
  const found = $(`#${id}`);
  if (found.length > 0) return found;
  return $('<div>', { id, class: 'instant-audience-problem', 'aria-live': 'polite' }).appendTo(
    field.closest('.form-row'),
  );
}

/** A typed input hides its original field. */
function inputOf(field: JQuery): JQuery {
  const typed = field.next('.red-ui-typedInput-container').find('.red-ui-typedInput-input');
  return typed.length > 0 ? typed : field;
}

function describe(input: JQuery, id: string, wrong: boolean): void {
  const others = (input.attr('aria-describedby') ?? '').split(' ').filter((one) => one !== '' && one !== id);
  const ids = wrong ? [...others, id] : others;
  input.attr('aria-describedby', ids.length === 0 ? null : ids.join(' '));
}
