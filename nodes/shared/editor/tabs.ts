// Tabs inside a form, for mouse, keyboard and screen reader.
import type { EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

export interface Tab {
  /** The id of its panel, a child of the element `<list>-content`. */
  readonly id: string;
  readonly label: string;
}

/**
 * @param id of the list that becomes the tabs; the first tab is open
 * @param opened called with the id of the panel when a tab is opened
 */
export function makeTabs(
  id: string,
  tabs: readonly Tab[],
  opened: (panel: string) => void = () => undefined,
): void {
  const list = $(`#${id}`);
  const panels = $(`#${id}-content`).children();
  const editorTabs = RED.tabs.create({
    id,
    onchange: (tab) => {
      panels.hide();
      $(`#${tab.id}`).show();
      markChosen(list, tab.id);
      opened(tab.id);
    },
  });
  for (const tab of tabs) editorTabs.addTab(tab);
  markChosen(list, tabs[0]!.id);
  // The editor's own tabs listen to the mouse only, and in 4.1 take two quick clicks on two tabs for a double click.
  list.find('a.red-ui-tab-label').on('click', (event) => {
    event.preventDefault();
    editorTabs.activateTab(panelOf(event.currentTarget));
  });
  list.attr('role', 'tablist').children('li').attr('role', 'presentation');
  panels.attr('role', 'tabpanel');
}

function panelOf(link: HTMLElement): string {
  return (link.getAttribute('href') ?? '').slice(1);
}

function markChosen(list: JQuery, id: string): void {
  list.find('a.red-ui-tab-label').each((_index, link) => {
    const panel = panelOf(link);
    $(link).attr({ role: 'tab', 'aria-controls': panel, 'aria-selected': String(panel === id) });
  });
}
