// Graph of the deployed flows, as messages take it: wires, links, link calls, and instances of subflows. Disabled nodes,
// flows and subflows are left out.
//
// Nodes are named as Node-RED names the nodes that run: by the path of flow, instances and node.

import type { Node, NodeAPI } from 'node-red';
import { deployedNodes } from './deployed';

/** A node as the flow file has it. */
export type FlowConfig = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

const builderType = 'xandr-segment-builder';
const outType = 'xandr-instant-audience-out';

/** A node of the flow file, in one of the places where it runs. */
interface Placed {
  readonly path: string;
  readonly config: FlowConfig;
}

/**
 * The possible senders of a node, by path. The return of a link call is `path + returns`; output 0 of a subflow
 * instance is `path + returns + 0`.
 */
type Ways = ReadonlyMap<string, ReadonlySet<string>>;
const returns = '>';

export class FlowGraph {
  private readonly placed = new Map<string, Placed>();
  private readonly sources = new Map<string, Set<string>>();
  private readonly byZ = new Map<string, FlowConfig[]>();
  private readonly byId: ReadonlyMap<string, FlowConfig>;

  constructor(all: readonly FlowConfig[]) {
    this.byId = new Map(all.map((config) => [config.id, config]));
    for (const config of all) {
      if (config.d === true || typeof config.z !== 'string') continue;
      const list = this.byZ.get(config.z);
      if (list === undefined) this.byZ.set(config.z, [config]);
      else list.push(config);
    }
    for (const { id, type, disabled } of all) if (type === 'tab' && disabled !== true) this.place(id, id, []);
    for (const { path, config } of this.placed.values()) this.connect(path, config);
    this.connectCalls();
  }

  /**
   * The builders from which a message may reach the node. If there are none, as behind a broker or a context, the
   * builders that name the same account.
   *
   * @param out its path
   */
  buildersOf(out: string, account: string): Placed[] {
    const upstream = [...reachedFrom([out], this.sources)].flatMap((path) => this.placed.get(path) ?? []);
    const builders = upstream.filter(({ config }) => config.type === builderType);
    if (builders.length > 0) return builders;
    return [...this.placed.values()].filter(
      ({ config }) => config.type === builderType && config.account === account,
    );
  }

  /** The nodes of a flow or of an instance of a subflow, and those of the instances in it. */
  private place(path: string, z: string, above: readonly string[]): void {
    for (const config of this.byZ.get(z) ?? []) {
      const own = `${path}/${config.id}`;
      this.placed.set(own, { path: own, config });
      const subflow = subflowOf(config);
      // Node-RED does not start a subflow that contains itself.
      if (subflow !== null && !above.includes(subflow)) this.place(own, subflow, [...above, subflow]);
    }
  }

  private connect(path: string, config: FlowConfig): void {
    const flow = path.slice(0, -config.id.length);
    const subflow = subflowOf(config);
    const definition = subflow === null ? undefined : this.byId.get(subflow);
    if (definition === undefined) {
      const from = config.type === 'link call' ? path + returns : path;
      for (const to of idsIn(config.wires)) this.wire(from, flow + to);
    } else {
      for (const { id } of portsOf(definition.in).flat()) this.wire(path, `${path}/${id}`);
      portsOf(definition.out).forEach((ends, port) => {
        const exit = `${path}${returns}${port}`;
        // An input that is wired to an output goes straight through.
        for (const end of ends)
          this.wire(end.id === subflow ? path : this.exitOf(`${path}/${end.id}`, end.port), exit);
        for (const to of idsIn((config.wires as unknown[] | undefined)?.[port])) this.wire(exit, flow + to);
      });
    }
    // Either end of a link may name the other, also one in another flow.
    for (const other of config.type.startsWith('link ') ? idsIn(config.links) : [])
      for (const there of this.linkPaths(flow, other))
        if (config.type === 'link in') this.wire(there, path);
        else this.wire(path, there);
  }

  private exitOf(path: string, port: number): string {
    const { config } = this.placed.get(path) ?? {};
    if (config === undefined) return path;
    if (config.type === 'link call') return path + returns;
    return subflowOf(config) === null ? path : `${path}${returns}${port}`;
  }

  /** A link call continues with the return of the called flow. */
  private connectCalls(): void {
    const targets = new Map<string, Set<string>>();
    for (const [to, froms] of this.sources) {
      for (const from of froms) {
        // The edge of a link call into the called flow is no normal edge.
        if (this.placed.get(from)?.config.type === 'link call') continue;
        add(targets, from.endsWith(returns) ? from.slice(0, -returns.length) : from, to);
      }
    }
    const ofType = (type: string): Placed[] =>
      [...this.placed.values()].filter(({ config }) => config.type === type);
    const anyLinkIn = ofType('link in').map(({ path }) => path);
    for (const { path, config } of ofType('link call')) {
      const flow = path.slice(0, -config.id.length);
      // A dynamic call names its target in each message.
      const called =
        config.linkType === 'dynamic'
          ? anyLinkIn
          : idsIn(config.links).flatMap((id) => this.linkPaths(flow, id));
      for (const end of called) this.wire(path, end);
      for (const end of reachedFrom(called, targets))
        if (this.placed.get(end)?.config.mode === 'return') this.wire(end, path + returns);
    }
  }

  /** The other end of a link: in the same instance of a subflow, or on another tab. */
  private linkPaths(flow: string, id: string): string[] {
    const z = this.byId.get(id)?.z;
    return [`${flow}${id}`, `${String(z)}/${id}`].filter(
      (path, index, both) => this.placed.has(path) && both.indexOf(path) === index,
    );
  }

  private wire(from: string, to: string): void {
    add(this.sources, to, from);
  }
}

function add(ways: Map<string, Set<string>>, key: string, other: string): void {
  const known = ways.get(key);
  if (known === undefined) ways.set(key, new Set([other]));
  else known.add(other);
}

/** Includes the given nodes. */
function reachedFrom(paths: readonly string[], ways: Ways): Set<string> {
  const reached = new Set(paths);
  const waiting = [...paths];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const next of ways.get(path) ?? []) {
      if (reached.has(next)) continue;
      reached.add(next);
      waiting.push(next);
    }
  }
  return reached;
}

function subflowOf({ type }: FlowConfig): string | null {
  return type.startsWith('subflow:') ? type.slice('subflow:'.length) : null;
}

/** Ids in a list, or in a list of lists. */
function idsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.flat().filter((id): id is string => typeof id === 'string') : [];
}

/** The nodes at each of a subflow's inputs or outputs, with the output of the node. */
function portsOf(ports: unknown): { readonly id: string; readonly port: number }[][] {
  if (!Array.isArray(ports)) return [];
  return ports.map((place: unknown) => {
    const { wires } = (place ?? {}) as { wires?: unknown };
    if (!Array.isArray(wires)) return [];
    return wires.flatMap((wire: unknown) => {
      const { id, port = 0 } = (wire ?? {}) as { id?: unknown; port?: unknown };
      return typeof id === 'string' ? [{ id, port: Number(port) }] : [];
    });
  });
}

// ── The flows that are deployed ─────────────────────────────────────────────────────────────────────────────────────

/** By the events of the Node-RED; null while they have not been read since a deploy. */
const deployed = new WeakMap<object, { flows: FlowGraph | null }>();

/** Read once for each deploy. */
export function deployedFlows({ nodes, events }: Pick<NodeAPI, 'nodes' | 'events'>): FlowGraph {
  const known = deployed.get(events) ?? { flows: null };
  if (!deployed.has(events)) {
    deployed.set(events, known);
    for (const event of ['flows:starting', 'flows:started']) events.on(event, () => (known.flows = null));
  }
  if (known.flows !== null) return known.flows;
  const all: FlowConfig[] = [];
  nodes.eachNode((config) => all.push(config as unknown as FlowConfig));
  return (known.flows = new FlowGraph(all));
}

/** Where a node runs. */
export function pathOf(node: Node): string {
  return (node as Node & { readonly _path?: string })._path ?? node.id;
}

/** A node that names an account, by the account's node id. */
type UsesAccount = Node & { readonly accountId: string };

/** The accounts of the out nodes that a message of this builder may reach, by their node ids. */
export function accountsBehind(flows: FlowGraph, builder: Node): ReadonlySet<string> {
  const path = pathOf(builder);
  const outs = deployedNodes<UsesAccount>(outType).filter((out) =>
    flows.buildersOf(pathOf(out), out.accountId).some((found) => found.path === path),
  );
  return new Set(outs.map(({ accountId }) => accountId));
}
