// Checks of the look of the editor: nothing cut off, no raw key, no faint text, no hint of several lines.

/**
 * Contrast as the accessibility guidelines reckon it (WCAG 2.2, 1.4.3 and 1.4.11): 4.5:1 for texts, 3:1 for large ones
 * and for icons. Colours are painted first, so that those which let something through count as they are seen.
 *
 * @param decoration a selector of icons that say nothing which words do not say; '' for none
 */
export function looksInPage({ root, decoration }: { root: string; decoration: string }): {
  overflowing: string[];
  raw: string[];
  faint: string[];
} {
  const { document, getComputedStyle } = globalThis as any;
  const form = document.querySelector(root);
  const right = Number(form.getBoundingClientRect().right) + 1;
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const painted = (colours: string[]): number[] => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (parts: number[]): number => {
    const [r = 0, g = 0, b = 0] = parts
      .map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4)));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element: any): string[] =>
    element === null
      ? ['white']
      : [...behind(element.parentElement), String(getComputedStyle(element).backgroundColor)];
  const contrast = (element: any, colour: string): number => {
    const layers = behind(element);
    const [a, b] = [light(painted([...layers, colour])), light(painted(layers))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const overflowing: string[] = [];
  const raw: string[] = [];
  const faint: string[] = [];
  const look = (element: any, text: string, colour: string, least: number): void => {
    const found = contrast(element, colour);
    if (found < least)
      faint.push(`${found.toFixed(2)} ${element.tagName} ${element.className}: ${text.slice(0, 40)}`);
  };
  for (const element of form.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || element.offsetParent === null || element.tagName === 'OPTION') continue;
    if (box.right > right) overflowing.push(`${element.tagName} ${element.id} ${element.className}`);
    // What cannot be used may be faint (1.4.3).
    if (element.closest('.disabled, :disabled') !== null) continue;
    const style = getComputedStyle(element);
    const isField = ['INPUT', 'SELECT', 'TEXTAREA'].includes(element.tagName);
    if (isField && element.type !== 'checkbox') {
      const isEmpty = element.tagName !== 'SELECT' && element.value === '';
      const shown = isEmpty ? String(getComputedStyle(element, '::placeholder').color) : String(style.color);
      if (!isEmpty || element.placeholder)
        look(element, isEmpty ? element.placeholder : element.value, shown, 4.5);
    }
    const isDecoration = decoration !== '' && element.matches(decoration);
    if (element.classList.contains('fa') && !isDecoration)
      look(element, 'icon', String(getComputedStyle(element, '::before').color), 3);
    const text = [...element.childNodes]
      .filter((node: any) => node.nodeType === 3)
      .map((node: any) => node.data.trim())
      .join('');
    if (text === '' || isField) continue;
    const isKey = /^[\w-]+(\.\w+)+$/.test(text) && !text.startsWith('msg.');
    if (isKey && element.closest('pre, .red-ui-typedInput-container, .instant-audience-url') === null)
      raw.push(text);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    look(element, text, String(style.color), isLarge ? 3 : 4.5);
  }
  return { overflowing, raw, faint };
}

/** Hints below a field that take more than one line, for each choice in each list of the form. */
export function longHintsInPage(form: string): string[] {
  const { document, getComputedStyle, jQuery } = globalThis as any;
  const long = new Set<string>();
  const look = (): void => {
    for (const hint of document.querySelectorAll(
      `${form} .instant-audience-hint:not(.instant-audience-warning)`,
    ))
      if (hint.offsetHeight > 1.5 * parseFloat(getComputedStyle(hint).lineHeight)) long.add(hint.innerText);
  };
  for (const list of document.querySelectorAll(`${form} select`)) {
    const chosen = list.value;
    for (const { value } of [...list.options].filter((option: any) => option.value !== '_ADD_')) {
      jQuery(list).val(value).trigger('change');
      look();
    }
    jQuery(list).val(chosen).trigger('change');
  }
  return [...long];
}
