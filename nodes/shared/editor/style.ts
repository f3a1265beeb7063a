// How our forms look: labels in a column, fields beside them, hints and problems below, in the colours of any theme.

const style = `
/* The editor makes its tray as wide as the form's longest line, and cuts that off in a small window: add nothing. */
.instant-audience-form {
  width: 0;
  min-width: 100%;
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
  color: var(--red-ui-secondary-text-color);
}
.instant-audience-form .instant-audience-problem {
  color: var(--red-ui-text-color-error);
  white-space: pre-line;
}
.instant-audience-form .instant-audience-warning {
  color: var(--red-ui-text-color-warning);
}
.instant-audience-form .instant-audience-wide {
  padding-left: 0;
}
.instant-audience-form a.red-ui-button:focus-visible,
.instant-audience-form button:focus-visible,
.instant-audience-form pre:focus-visible,
.instant-audience-form input[type='checkbox']:focus-visible {
  outline: 2px solid var(--red-ui-form-input-focus-color);
  outline-offset: 1px;
}
`;

const id = 'instant-audience-style';

/** Once for the page; call it as a form opens. */
export function useStyle(): void {
  if ($(`#${id}`).length === 0) $('<style>', { id }).text(style).appendTo('head');
}
