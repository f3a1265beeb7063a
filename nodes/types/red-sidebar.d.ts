// Types of the editor's global `RED` for our sidebar tab; declare it where it is used: `declare const RED: SidebarRed`.

interface Notification {
  close(): void;
}

export interface SidebarRed {
  readonly settings: { readonly apiRootUrl?: string };
  readonly i18n: { lang(): string };
  readonly user: { hasPermission(permission: string): boolean };
  readonly actions: { add(name: string, call: () => void): void };
  readonly plugins: {
    registerPlugin(id: string, definition: { type: string; onadd(): void }): void;
  };
  readonly sidebar: {
    addTab(tab: {
      id: string;
      label: string;
      name: string;
      iconClass: string;
      content: HTMLElement;
      action?: string;
      /** The tab stays usable while a form is open. */
      enableOnEdit?: boolean;
    }): void;
    show(id: string): void;
  };
  readonly comms: {
    subscribe(topic: string, listener: (topic: string, data: unknown) => void): void;
    send(topic: string, data: unknown): void;
  };
  _(key: string, params?: Readonly<Record<string, string | number>>): string;
  notify(
    message: HTMLElement,
    options: {
      type?: 'warning' | 'error' | 'success';
      modal?: boolean;
      fixed?: boolean;
      timeout?: number;
      buttons?: readonly { text: string; class?: string; click(): void }[];
    },
  ): Notification;
}
