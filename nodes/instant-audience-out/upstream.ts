// Which segment builders lead to an out node, by the wires of the flows as they are deployed.

/** A node as the flow file has it. */
export type FlowConfig = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

const builderType = 'xandr-segment-builder';

/**
 * The builders from which a message may reach the node, through whatever lies between: wires, link nodes, subflows. Where
 * none does, as behind a broker or a context, those that name the same account.
 */
export function buildersOf(out: string, account: string, all: readonly FlowConfig[]): FlowConfig[] {
  const enabled = all.filter(({ d }) => d !== true);
  const byId = new Map(enabled.map((node) => [node.id, node]));
  const sources = sourcesOf(enabled);
  const reached = new Set([out]);
  const waiting = [out];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    for (const source of sources.get(id) ?? []) {
      if (reached.has(source)) continue;
      reached.add(source);
      waiting.push(source);
    }
  }
  const upstream = [...reached].flatMap((id) => byId.get(id) ?? []).filter(isBuilder);
  if (upstream.length > 0) return upstream;
  return enabled.filter((node) => isBuilder(node) && node.account === account);
}

function isBuilder({ type }: FlowConfig): boolean {
  return type === builderType;
}

/** By node: from where messages come to it. */
function sourcesOf(all: readonly FlowConfig[]): ReadonlyMap<string, readonly string[]> {
  const sources = new Map<string, string[]>();
  const wire = (from: string, to: string): void => {
    const list = sources.get(to);
    if (list === undefined) sources.set(to, [from]);
    else list.push(from);
  };
  const subflows = new Map(all.filter(({ type }) => type === 'subflow').map((node) => [node.id, node]));
  for (const node of all) {
    for (const to of [...idsIn(node.wires), ...(node.type.startsWith('link ') ? idsIn(node.links) : [])]) {
      // The other end of a link names this one, too.
      if (node.type === 'link in' && !idsIn(node.wires).includes(to)) wire(to, node.id);
      else wire(node.id, to);
    }
    const subflow = subflows.get(node.type.replace(/^subflow:/, ''));
    if (subflow === undefined || !node.type.startsWith('subflow:')) continue;
    for (const to of portsOf(subflow.in)) wire(node.id, to);
    for (const from of portsOf(subflow.out)) for (const to of idsIn(node.wires)) wire(from, to);
  }
  return sources;
}

/** Ids in a list, or in a list of lists. */
function idsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.flat().filter((id): id is string => typeof id === 'string') : [];
}

/** The nodes at a subflow's inputs or outputs. */
function portsOf(ports: unknown): string[] {
  if (!Array.isArray(ports)) return [];
  return ports.flatMap((port: unknown) => {
    const { wires } = (port ?? {}) as { wires?: unknown };
    if (!Array.isArray(wires)) return [];
    return wires
      .map((wire: unknown) => (wire as { id?: unknown } | null)?.id)
      .filter((id) => typeof id === 'string');
  });
}
