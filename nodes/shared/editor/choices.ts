// Lists to choose from, and values that they do not offer.

/** A value that the list does not offer, such as `${ENV}` from a file, must survive opening the form. */
export function keepSelectable(list: JQuery, saved: unknown, label: (text: string) => string): void {
  const text = typeof saved === 'string' || typeof saved === 'number' ? String(saved) : '';
  const known = list
    .find('option')
    .toArray()
    .some((option) => option.value === text);
  if (text !== '' && !known) {
    list.append($('<option>').val(text).text(label(text))).val(text);
  }
}
