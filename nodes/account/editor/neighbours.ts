// Agreement of accounts that share a queue: they must keep it in the same place and encrypt it alike.
import type { EditorRed } from '../../types/red-editor';
import { variableIn } from '../../shared/saved';

declare const RED: EditorRed;

/** The properties that determine the queue of an account, as saved or as in the form. */
export interface QueueUse {
  readonly environment: string;
  readonly serviceUrl: string;
  readonly member: string;
  readonly queue: string;
  /** `true` or `false`. */
  readonly encryptIds: string;
}

const productionUrl = 'https://streaming-data.appnexus.com';

/** The name of an enabled account that serves the same member and has something else saved in `about`; null for none. */
export function disagreeing(id: string, use: QueueUse, about: 'queue' | 'encryptIds'): string | null {
  const key = queueKeyOf(use);
  const names: string[] = [];
  RED.nodes.eachConfig((node) => {
    if (node.type !== 'xandr-account' || node.id === id || node.d === true) return;
    const other = useOf(node);
    if (key !== null && queueKeyOf(other) === key && other[about] !== use[about]) {
      names.push(RED.utils.getNodeLabel(node, String(node.id)));
    }
  });
  return names[0] ?? null;
}

/** Of saved properties, or of those in the form. */
export function useOf(node: Readonly<Record<string, unknown>>): QueueUse {
  const text = (property: string, otherwise: string): string => {
    const value = node[property];
    return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : otherwise;
  };
  return {
    environment: text('environment', 'sandbox'),
    serviceUrl: text('serviceUrl', productionUrl),
    member: text('member', ''),
    queue: text('queue', 'disk'),
    encryptIds: text('encryptIds', 'false'),
  };
}

/** The identity of the queue; null if it depends on a variable that only the runtime can read. */
function queueKeyOf({ environment, serviceUrl, member, queue, encryptIds }: QueueUse): string | null {
  if ([environment, member, queue, encryptIds].some((text) => variableIn(text) !== null)) return null;
  if (environment === 'sandbox') return 'sandbox';
  if (member === '') return null;
  if (environment === 'production') return `${productionUrl} ${member}`;
  return URL.canParse(serviceUrl) ? `${addressOf(new URL(serviceUrl))} ${member}` : null;
}

function addressOf(url: URL): string {
  return `${url.origin}${url.pathname.replace(/(?<!\/)\/+$/, '')}`;
}
