// Styles of our forms: labels in a column, fields beside them, hints and problems below, in the colours of any theme.

const style = `
/* The editor makes its tray as wide as the form, and cuts that off in a small window: no line adds to the width. */
.instant-audience-form {
  width: 540px;
  min-width: 100%;
  max-width: 100%;
  /*
   * Node-RED 4.1 and many themes show hints, placeholders and warnings with too little contrast (below 4.5:1); mixing in
   * the theme's text colour corrects it.
   */
  --instant-audience-quiet: color-mix(in srgb, var(--red-ui-secondary-text-color) 35%, var(--red-ui-primary-text-color));
  --instant-audience-placeholder: color-mix(in srgb, var(--red-ui-form-placeholder-color) 35%, var(--red-ui-form-text-color));
  --instant-audience-good: color-mix(in srgb, var(--red-ui-text-color-success), var(--red-ui-primary-text-color));
  --instant-audience-warning: color-mix(in srgb, var(--red-ui-text-color-warning) 35%, var(--red-ui-primary-text-color));
  --instant-audience-bad: color-mix(in srgb, var(--red-ui-text-color-error), var(--red-ui-primary-text-color));
  --instant-audience-focus: color-mix(in srgb, var(--red-ui-form-input-focus-color) 70%, var(--red-ui-primary-text-color));
}
/* Twice the class: the editor's own rules are as narrow as these. */
.instant-audience-form.instant-audience-form :is(input, textarea)::placeholder {
  color: var(--instant-audience-placeholder);
  opacity: 1;
  /* What the field would show as a value stands upright. */
  font-style: italic;
}
.instant-audience-form.instant-audience-form :is(a, button).red-ui-button:not(.disabled, :disabled) {
  color: var(--red-ui-primary-text-color) !important;
}
.instant-audience-form.instant-audience-form .red-ui-tab:not(.active) a,
.instant-audience-form.instant-audience-form .red-ui-editableList-item-handle {
  color: var(--instant-audience-quiet);
}
.instant-audience-form .form-row {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 10px;
}
.instant-audience-form .form-row > label {
  flex: 0 0 150px;
  width: 150px;
  margin: 0;
}
/* A long name goes on below itself, not below its icon. */
.instant-audience-form .form-row > label:has(> i) {
  display: flex;
  align-items: baseline;
  gap: 5px;
}
.instant-audience-form .form-row > label[title] > span,
.instant-audience-form .instant-audience-line > label[title] {
  text-decoration: underline dotted;
  text-underline-offset: 3px;
  cursor: help;
}
.instant-audience-form .form-row > label.instant-audience-check {
  flex: 1 1 200px;
  width: auto;
}
/* Below the list that stands for a box with a variable. */
.instant-audience-form .form-row > select ~ label.instant-audience-check {
  flex: 1 0 100%;
  box-sizing: border-box;
  padding-left: 160px;
}
.instant-audience-form .form-row > input[type='text'],
.instant-audience-form .form-row > input[type='password'],
.instant-audience-form .form-row > select,
.instant-audience-form .form-row > textarea,
.instant-audience-form .form-row > .red-ui-typedInput-container {
  flex: 1 1 200px;
  width: 200px !important;
  min-width: 0;
  margin: 0;
  box-sizing: border-box;
}
.instant-audience-form .form-row > input.instant-audience-number {
  flex: 0 0 130px;
  width: 130px;
}
.instant-audience-form .form-row > input[type='checkbox'] {
  width: auto;
  margin: 0;
}
/* The boxes of a list, each with its name beside it. */
.instant-audience-form .form-row > ul.instant-audience-boxes {
  flex: 1 1 200px;
  margin: 0;
  list-style: none;
}
.instant-audience-form ul.instant-audience-boxes label {
  display: flex;
  align-items: baseline;
  gap: 6px;
  width: auto;
  margin: 0 0 2px;
}
.instant-audience-form ul.instant-audience-boxes input {
  flex: none;
  width: auto;
  margin: 0;
}
/* The list of configuration nodes, beside its two buttons: a long name must not push them out. */
.instant-audience-form .form-row > div > select {
  min-width: 0;
  width: 0;
}
.instant-audience-form .instant-audience-hint,
.instant-audience-form .instant-audience-problem {
  flex: 1 0 100%;
  box-sizing: border-box;
  padding-left: 160px;
  line-height: 1.35;
  overflow-wrap: anywhere;
}
.instant-audience-form .instant-audience-hint {
  color: var(--instant-audience-quiet);
}
.instant-audience-form .instant-audience-problem {
  color: var(--instant-audience-bad);
  white-space: pre-line;
}
.instant-audience-form .instant-audience-warning {
  color: var(--instant-audience-warning);
}
.instant-audience-form .instant-audience-wide {
  padding-left: 0;
}
.instant-audience-form .instant-audience-details > summary {
  margin-bottom: 12px;
  cursor: pointer;
}
.instant-audience-form :is(a, button, pre, input, select, textarea, summary):focus-visible {
  outline: 2px solid var(--instant-audience-focus);
  outline-offset: 1px;
}
/* Inside a frame of the editor's own, which would cut it off. */
.instant-audience-form .red-ui-typedInput-container :focus-visible,
.instant-audience-form .red-ui-tabs :focus-visible {
  outline-offset: -2px;
}
/* Search for a segment. */
.instant-audience-form .instant-audience-picked {
  padding-left: 116px;
  color: var(--instant-audience-quiet);
  overflow-wrap: anywhere;
}
.instant-audience-form .instant-audience-picker {
  border: 1px solid var(--red-ui-form-input-border-color);
  border-radius: 4px;
  padding: 8px;
}
.instant-audience-form .instant-audience-picker > input {
  width: 100%;
  margin: 0;
  box-sizing: border-box;
}
.instant-audience-form .instant-audience-found {
  max-height: 220px;
  overflow-y: auto;
  margin: 6px 0 0;
  padding: 0;
  list-style: none;
}
.instant-audience-form .instant-audience-found > li {
  display: flex;
  flex-wrap: wrap;
  gap: 0 10px;
  padding: 4px 6px;
  border: 0;
  border-radius: 3px;
  cursor: pointer;
  line-height: 1.35;
}
.instant-audience-form .instant-audience-found > li:hover {
  background: var(--red-ui-list-item-background-hover);
}
.instant-audience-form .instant-audience-found > li[aria-selected='true'] {
  background: var(--red-ui-list-item-background-selected);
  outline: 1px solid var(--instant-audience-focus);
  outline-offset: -1px;
}
.instant-audience-form .instant-audience-found .instant-audience-name {
  flex: 1 1 160px;
  overflow-wrap: anywhere;
}
.instant-audience-form .instant-audience-found .instant-audience-key {
  color: var(--instant-audience-quiet);
  overflow-wrap: anywhere;
}
.instant-audience-form .instant-audience-found .instant-audience-off {
  color: var(--instant-audience-warning);
}
.instant-audience-form .instant-audience-picker-says {
  margin-top: 6px;
  color: var(--instant-audience-quiet);
  line-height: 1.35;
}
`;

const id = 'instant-audience-style';

/** Once for the page; call it as a form opens. */
export function useStyle(): void {
  if ($(`#${id}`).length === 0) $('<style>', { id }).text(style).appendTo('head');
}
