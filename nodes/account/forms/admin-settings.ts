// Accounts for the admin routes: the deployed one, and what an open form means.

import type { Node, NodeAPI } from 'node-red';
import { deployedNodes } from '../../shared/deployed';
import { plainText, storedPassword, variableIn, type Saved } from '../../shared/saved';
import { placeOf } from '../../../src/queue-postgres/index';
import type { Problem } from '../account-api';
import type { QueuePlace } from '../queue/left-entries';
import { readPlace, readSharedQueue, type AccountSettings } from '../settings';

export const accountType = 'xandr-account';

/** What our routes need of a deployed account. */
type DeployedNode = Node & {
  readonly credentials?: Saved;
  readonly settings: AccountSettings | Problem;
};

/** Where the account of an open form would keep its queue. */
export function queuePlace(meant: Saved): QueuePlace | Problem {
  const place = readPlace(meant);
  if ('key' in place) return place;
  const shared = place.queue === 'shared' ? readSharedQueue(meant) : null;
  const database = shared === null || 'key' in shared ? null : placeOf({ url: shared.database.url });
  return { ...place, database };
}

/**
 * What the account in the editor means. A password that was left as it is stored, and credentials that the editor does
 * not know, are the deployed account's; they are put in here and nowhere else, so that they never go back to the browser.
 *
 * @param values properties and credentials as the editor has them; anything that is no text or number is left out
 */
export function formValues(RED: NodeAPI, id: string, values: Saved): Saved {
  const node = deployedNode(id);
  const stored = node?.credentials ?? {};
  const plain = Object.entries(values).filter(([, value]) => plainText(value) !== null);
  const filled = plain.map(([name, value]) => [name, value === storedPassword ? stored[name] : value]);
  return withEnvironment(RED, node, { ...stored, ...(Object.fromEntries(filled) as Saved) });
}

/** Of the instances of a subflow any: they have the same login, unless the environment decides. */
export function deployedNode(id: string): DeployedNode | null {
  return deployedNodes<DeployedNode>(accountType, id)[0] ?? null;
}

/** Node-RED does this with what it deploys: a property that is nothing but `${NAME}` becomes the variable's value. */
function withEnvironment(RED: NodeAPI, node: DeployedNode | null, saved: Saved): Saved {
  const value = (text: unknown): unknown => {
    const name = variableIn(text);
    if (name === null) return text;
    const found: unknown = RED.util.evaluateNodeProperty(name, 'env', (node ?? {}) as never, {});
    return found === '' ? text : found;
  };
  return Object.fromEntries(Object.entries(saved).map(([property, text]) => [property, value(text)]));
}
