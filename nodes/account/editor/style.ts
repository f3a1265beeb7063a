// Styles of the account's form alone.

const style = `
.instant-audience-account textarea {
  height: 90px;
  resize: vertical;
  font-family: var(--red-ui-monospace-font);
}
/* A password field cannot hold the line breaks of a key; this hides it as a password field would. */
.instant-audience-account textarea:not(:placeholder-shown) {
  -webkit-text-security: disc;
}
.instant-audience-account .instant-audience-below {
  margin-bottom: 12px;
}
.instant-audience-account .instant-audience-after {
  flex: 1 1 0;
}
.instant-audience-account .form-row > label.instant-audience-beside {
  flex: 0 0 auto;
  width: auto;
}
/* Host and port in one line. */
.instant-audience-account .form-row > input#node-config-input-databaseHost {
  flex: 1 1 90px;
}
.instant-audience-account .form-row > input#node-config-input-databasePort {
  flex: 0 0 64px;
}
.instant-audience-account .instant-audience-fold {
  padding-left: 160px;
}
.instant-audience-account .form-row:has(> .instant-audience-result) {
  align-items: baseline;
}
.instant-audience-account .instant-audience-result {
  flex: 1 1 200px;
  line-height: 1.35;
  overflow-wrap: anywhere;
}
.instant-audience-account .instant-audience-result ul {
  margin: 6px 0 0;
  list-style: none;
}
.instant-audience-account .instant-audience-result [data-level=''] {
  color: var(--instant-audience-quiet);
}
.instant-audience-account :is(.instant-audience-result, .instant-audience-result li)[data-level='good'] {
  color: var(--instant-audience-good);
}
.instant-audience-account :is(.instant-audience-result, .instant-audience-result li)[data-level='warning'] {
  color: var(--instant-audience-warning);
}
.instant-audience-account :is(.instant-audience-result, .instant-audience-result li)[data-level='bad'] {
  color: var(--instant-audience-bad);
}
`;

/** Call it as the form opens. */
export function useAccountStyle(form: JQuery): void {
  form.prepend($('<style>').text(style));
}
