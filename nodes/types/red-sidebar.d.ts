// Types of the editor's `RED` that `@types/node-red` lacks, for our sidebar tab.
import type { EditorRED } from 'node-red';

interface Notification {
  close(): void;
}

/** A node in the editor. */
export interface CanvasNode {
  readonly id: string;
  readonly type: string;
  /** The nodes that point to it; of configuration nodes only. */
  readonly users?: readonly CanvasNode[];
}

/** The editor's global `RED`; declare it where it is used: `declare const RED: SidebarRed`. */
export type SidebarRed = Pick<EditorRED, 'actions' | 'i18n' | 'sidebar' | 'user'> & {
  readonly settings: { readonly apiRootUrl?: string };
  readonly plugins: {
    registerPlugin(id: string, definition: { type: string; onadd(): void }): void;
  };
  readonly comms: Pick<EditorRED['comms'], 'subscribe'> & { send(topic: string, data: unknown): void };
  readonly nodes: { node(id: string): CanvasNode | null | undefined };
  readonly utils: { getNodeLabel(node: CanvasNode, fallback: string): string };
  /** Shows the workspace of a node, with the node in the middle, blinking. */
  readonly view: { reveal(id: string): void };
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
};
