// Directory of this package's running nodes.
//
// A node in a subflow runs once for each instance, with an id of its own each time; its form and the flow file use the
// id that it has in the subflow. A node on a disabled flow does not run.

import type { Node, NodeAPI } from 'node-red';

/** What `@types/node-red` lacks of a node in an instance of a subflow. */
type Instance = Node & { readonly _alias?: string };

const running = new Set<Node>();

/** Until the node closes. */
export function nowDeployed(node: Node): void {
  running.add(node);
  node.on('close', () => running.delete(node));
}

/** The canvas keeps the last status of a node that is disabled. */
export function noStatusOnceRemoved(node: Node): void {
  node.on('close', (removed: boolean, done: () => void) => {
    if (removed) node.status({});
    done();
  });
}

/** The nodes of a type; with an id, this node, or one for each instance of its subflow. */
export function deployedNodes<N extends Node>(type: string, id?: string): N[] {
  const isMeant = (node: Node): node is N =>
    node.type === type && (id === undefined || node.id === id || flowId(node) === id);
  return [...running].filter(isMeant);
}

/** The node's id in the flow file. */
function flowId(node: Node): string {
  return (node as Instance)._alias ?? node.id;
}

/** Whether something is behind an output; `@types/node-red` lacks the wires of a node. */
export function isWired(node: Node, output: number): boolean {
  const { wires } = node as Node & { readonly wires?: readonly (readonly string[])[] };
  return (wires?.[output]?.length ?? 0) > 0;
}

/** What a Complete node of the flow file has. */
interface CompleteConfig {
  readonly type: string;
  readonly scope?: readonly string[];
}

/** Ids in the flow file of nodes with a Complete node; null until they are looked for, after each deploy. */
let completed: ReadonlySet<string> | null = null;
let isListening = false;

/** Whether a Complete node gets the messages of this node. */
export function hasCompleteNode({ nodes, events }: NodeAPI, node: Node): boolean {
  if (!isListening) {
    isListening = true;
    events.on('flows:started', () => {
      completed = null;
    });
  }
  completed ??= completedIds(nodes);
  return completed.has(flowId(node));
}

function completedIds(nodes: NodeAPI['nodes']): ReadonlySet<string> {
  const ids = new Set<string>();
  nodes.eachNode((config) => {
    const { type, scope = [] } = config as CompleteConfig;
    if (type === 'complete') for (const id of scope) ids.add(id);
  });
  return ids;
}
