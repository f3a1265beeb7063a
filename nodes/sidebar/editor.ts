// The tab "Audience" in the editor's sidebar: the state of the queues, and buttons to act.
import type { SidebarRed } from '../types/red-sidebar';
import { Connection } from './editor/connection';
import { useTabStyle } from './editor/style';
import { TabView } from './editor/tab-view';
import { word } from './editor/words';

declare const RED: SidebarRed;

const tabId = 'instant-audience';

RED.plugins.registerPlugin('instant-audience-sidebar', {
  type: 'instant-audience',
  onadd() {
    useTabStyle();
    const view = new TabView();
    RED.actions.add('instant-audience:show-audience-tab', () => RED.sidebar.show(tabId));
    RED.sidebar.addTab({
      id: tabId,
      label: word('tab.label'),
      name: word('tab.name'),
      iconClass: 'fa fa-users',
      content: view.root,
      action: 'instant-audience:show-audience-tab',
      enableOnEdit: true,
    });
    new Connection(view.root, (update) => view.show(update)).start();
  },
});
