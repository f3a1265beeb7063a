// Open forms of our nodes: their validators read the fields, those of other nodes the saved properties.

/** More than one, where an account is edited on top of a node that uses it. */
const open = new Set<string>();

interface Identified {
  readonly id: string;
}

export function formOpened(node: Identified): void {
  open.add(node.id);
}

export function formClosed(node: Identified): void {
  open.delete(node.id);
}

/** By id: the editor hands out the same node in several wrappings. */
export function isFormOpen(node: Identified): boolean {
  return open.has(node.id);
}
