// Accounts for the admin routes: the deployed one, and what an open form means.

import type { Node, NodeAPI } from 'node-red';
import { deployedNodes } from '../shared/deployed';
import { variableIn, type Saved } from '../shared/saved';
import { placeOf } from '../../src/queue-postgres/index';
import type { Problem } from './account-api';
import type { QueuePlace } from './left-entries';
import { readPlace, readSharedQueue, type AccountSettings } from './settings';

export const accountType = 'xandr-account';

/** What the editor shows, and sends, in place of a stored password. */
const storedPassword = '__PWRD__';
const secrets = ['password', 'privateKey', 'databaseUrl'];

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
 * What the fields of the open form mean. A password that was left as it is stored is the deployed account's; it is put
 * in here and nowhere else, so that it never goes back to the browser.
 *
 * @param values properties and credentials as the fields hold them; anything that is no text is left out
 */
export function formValues(RED: NodeAPI, id: string, values: Saved): Saved {
  const node = deployedNode(id);
  const stored = node?.credentials ?? {};
  const texts = Object.entries(values).filter(([, value]) => typeof value === 'string');
  const filled = texts.map(([name, value]): [string, unknown] =>
    secrets.includes(name) && value === storedPassword ? [name, stored[name] ?? ''] : [name, value],
  );
  return withEnvironment(RED, node, Object.fromEntries(filled));
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
