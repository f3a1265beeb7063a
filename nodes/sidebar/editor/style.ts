// Styles of the tab, in the colours of any theme. The build adds those of the charts' library.

export const tabStyle = `
.instant-audience-tab {
  position: absolute;
  inset: 0;
  overflow-y: auto;
  padding: 10px;
  box-sizing: border-box;
  line-height: 1.4;
  color: var(--red-ui-primary-text-color);
  background: var(--red-ui-secondary-background);
}
.instant-audience-tab [hidden] {
  display: none !important;
}
.instant-audience-tab h3,
.instant-audience-tab h4 {
  margin: 0;
  font-size: inherit;
  line-height: inherit;
  font-weight: 600;
  color: inherit;
}
.instant-audience-tab h4 {
  margin: 12px 0 4px;
}
.instant-audience-tab section section > h4 {
  margin: 0;
}
.instant-audience-tab .instant-audience-body > h4:first-child,
.instant-audience-tab .instant-audience-body > :first-child > h4:first-child {
  margin-top: 0;
}
.instant-audience-tab p {
  margin: 4px 0;
  overflow-wrap: anywhere;
}
.instant-audience-tab .instant-audience-url,
.instant-audience-tab .instant-audience-url span {
  display: inline-block;
  max-width: 100%;
}
.instant-audience-tab ul {
  margin: 0;
  padding: 0;
  list-style: none;
}
.instant-audience-tab section {
  margin-bottom: 10px;
  border: 1px solid var(--red-ui-primary-border-color);
  border-radius: 4px;
}
.instant-audience-tab section section {
  margin: 12px 0 0;
}
.instant-audience-tab .instant-audience-head {
  display: grid;
  grid-template-columns: 14px minmax(0, 1fr) auto;
  gap: 0 6px;
  width: 100%;
  margin: 0;
  padding: 8px;
  border: 0;
  border-radius: 4px;
  text-align: left;
  font: inherit;
  color: inherit;
  background: var(--red-ui-tertiary-background);
  cursor: pointer;
}
.instant-audience-tab .instant-audience-head[aria-expanded='true'] > .fa {
  transform: rotate(90deg);
}
.instant-audience-tab .instant-audience-head > .fa {
  align-self: center;
  justify-self: center;
}
.instant-audience-tab .instant-audience-name {
  overflow-wrap: anywhere;
  font-weight: 600;
}
.instant-audience-tab .instant-audience-state {
  grid-column: 2 / 4;
  font-weight: normal;
}
.instant-audience-tab .instant-audience-note {
  font-weight: normal;
  font-variant-numeric: tabular-nums;
}
.instant-audience-tab .instant-audience-badge {
  align-self: start;
  padding: 0 6px;
  border: 1px solid var(--red-ui-primary-text-color);
  border-radius: 4px;
  font-size: 11px;
}
.instant-audience-tab [data-environment='production'] {
  color: var(--red-ui-secondary-background);
  background: var(--red-ui-primary-text-color);
}
.instant-audience-tab .instant-audience-state .fa {
  margin-right: 5px;
}
.instant-audience-tab [data-look='working'] .fa {
  color: var(--red-ui-node-status-colors-blue);
}
.instant-audience-tab [data-look='idle'] .fa {
  color: var(--red-ui-text-color-success);
}
.instant-audience-tab [data-look='waiting'] .fa {
  color: var(--red-ui-text-color-warning);
}
.instant-audience-tab [data-look='stopped'] .fa {
  color: var(--red-ui-text-color-error);
}
.instant-audience-tab .instant-audience-body {
  padding: 8px;
}
.instant-audience-tab .instant-audience-figures + .instant-audience-body {
  padding-top: 0;
}
.instant-audience-tab .instant-audience-problem {
  padding: 6px 8px;
  overflow-wrap: anywhere;
  border-left: 4px solid var(--red-ui-text-color-warning);
}
.instant-audience-tab .instant-audience-problem p {
  font-size: 12px;
}
.instant-audience-tab .instant-audience-problem[data-look='stopped'] {
  border-left-color: var(--red-ui-text-color-error);
}
.instant-audience-tab .instant-audience-problem + .instant-audience-problem {
  border-top: 1px solid var(--red-ui-secondary-border-color);
}
.instant-audience-tab .instant-audience-problems {
  margin-bottom: 10px;
}
.instant-audience-tab .instant-audience-figures {
  display: flex;
  justify-content: space-between;
  gap: 10px;
  margin: 0;
  padding: 8px;
}
.instant-audience-tab .instant-audience-figures > div {
  display: flex;
  flex-direction: column-reverse;
  justify-content: flex-end;
}
.instant-audience-tab .instant-audience-figures dt {
  font-size: 12px;
}
.instant-audience-tab .instant-audience-figures dd {
  text-align: left;
  white-space: nowrap;
  font-weight: 600;
}
.instant-audience-tab .instant-audience-figures .instant-audience-trouble {
  padding-left: 5px;
  border-left: 4px solid var(--red-ui-text-color-warning);
}
.instant-audience-tab dl {
  display: grid;
  /* A long figure breaks before the many short words beside the others do. */
  grid-template-columns: minmax(60%, 1fr) auto;
  gap: 2px 10px;
  margin: 6px 0;
}
.instant-audience-tab dt,
.instant-audience-tab dd {
  margin: 0;
  font-weight: normal;
}
.instant-audience-tab dd {
  text-align: right;
  font-variant-numeric: tabular-nums;
}
.instant-audience-tab .instant-audience-buttons {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  margin: 8px 0;
}
.instant-audience-tab .instant-audience-buttons .red-ui-button {
  margin: 0;
}
/* The editor's own is too faint in Node-RED 4, and red for the focus in dark. */
.instant-audience-tab .instant-audience-buttons button.red-ui-button:not(:disabled):not(.disabled):not(.primary) {
  color: var(--red-ui-primary-text-color) !important;
}
.instant-audience-tab .instant-audience-button-danger:not(:disabled) {
  border-color: var(--red-ui-text-color-error);
}
.instant-audience-tab button:focus-visible,
.instant-audience-tab a:focus-visible,
.instant-audience-tab pre:focus-visible,
.instant-audience-tab input:focus-visible,
.instant-audience-tab select:focus-visible {
  outline: 2px solid var(--red-ui-form-input-focus-color);
  outline-offset: 1px;
}
.instant-audience-tab .instant-audience-line {
  display: flex;
  justify-content: space-between;
  gap: 10px;
}
.instant-audience-tab .instant-audience-line > :first-child {
  min-width: 0;
  overflow-wrap: anywhere;
}
.instant-audience-tab .instant-audience-line > :last-child {
  flex: none;
  font-variant-numeric: tabular-nums;
}
.instant-audience-tab .instant-audience-members {
  margin: 4px 0 8px 12px;
  overflow-wrap: anywhere;
}
.instant-audience-tab .instant-audience-menu-place {
  position: relative;
}
.instant-audience-tab .instant-audience-menu {
  position: absolute;
  z-index: 2;
  top: 100%;
  left: 0;
  min-width: 100%;
  padding: 4px 0;
  border: 1px solid var(--red-ui-primary-border-color);
  border-radius: 4px;
  background: var(--red-ui-secondary-background);
}
.instant-audience-tab .instant-audience-menu button {
  display: block;
  width: 100%;
  padding: 6px 12px;
  border: 0;
  text-align: left;
  white-space: nowrap;
  font: inherit;
  color: inherit;
  background: none;
  cursor: pointer;
}
.instant-audience-tab .instant-audience-menu button:hover,
.instant-audience-tab .instant-audience-menu button:focus {
  background: var(--red-ui-tertiary-background);
}
.instant-audience-tab .instant-audience-menu [aria-disabled] {
  color: var(--red-ui-secondary-text-color);
  cursor: default;
}
.instant-audience-tab .instant-audience-links {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 12px;
}
.instant-audience-tab .instant-audience-links a {
  color: inherit;
  text-decoration: underline;
  text-underline-offset: 3px;
}
.instant-audience-tab .instant-audience-example {
  margin: 4px 0 8px 12px;
}
.instant-audience-tab pre {
  max-height: 220px;
  margin: 4px 0;
  padding: 6px;
  overflow: auto;
  border: 1px solid var(--red-ui-secondary-border-color);
  font-size: 12px;
  line-height: 1.4;
  color: inherit;
  background: var(--red-ui-tertiary-background);
}
.instant-audience-tab .instant-audience-link {
  padding: 0;
  border: 0;
  text-align: left;
  font: inherit;
  color: inherit;
  text-decoration: underline;
  text-underline-offset: 3px;
  cursor: pointer;
  background: none;
}
.instant-audience-tab .instant-audience-field {
  margin: 6px 0;
}
.instant-audience-tab .instant-audience-field label {
  display: block;
  margin: 0 0 2px;
}
.instant-audience-tab .instant-audience-field input,
.instant-audience-tab .instant-audience-field select {
  width: 100%;
  margin: 0;
  box-sizing: border-box;
}
.instant-audience-tab figure {
  margin: 8px 0 0;
}
.instant-audience-tab figcaption {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  gap: 0 10px;
  font-variant-numeric: tabular-nums;
}
.instant-audience-tab figcaption > :first-child {
  font-weight: 600;
}
.instant-audience-tab .uplot .u-cursor-x {
  border-right-color: var(--red-ui-secondary-text-color);
}
`;

/** Once for the page. */
export function useTabStyle(): void {
  const element = document.createElement('style');
  element.id = 'instant-audience-tab-style';
  element.textContent = tabStyle;
  document.head.append(element);
}
