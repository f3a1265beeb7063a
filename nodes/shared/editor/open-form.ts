// Which of our nodes has its form open: its validators read the fields, those of all other nodes what was saved.

let open: string | null = null;

interface Identified {
  readonly id: string;
}

export function formOpened(node: Identified): void {
  open = node.id;
}

export function formClosed(): void {
  open = null;
}

/** By id: the editor hands out the same node in several wrappings. */
export function isFormOpen(node: Identified): boolean {
  return node.id === open;
}
