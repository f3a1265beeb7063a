// Name of this Node-RED instance among those that share a queue: machine and port, or a chosen name.

import { hostname } from 'node:os';

/** For a chosen name, such as a pod's; the variable applies to all accounts of the process. */
const nameVariable = 'INSTANCE_AUDIENCE_NAME';

const mostChars = 80;

/**
 * @param uiPort of Node-RED's settings, which may have any value; several Node-RED instances on one machine differ by it
 */
export function instanceName(
  uiPort: unknown,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  host: () => string = hostname,
): string {
  const given = tidy(environment[nameVariable] ?? '');
  if (given !== '') return given;
  const name = tidy(host());
  const port = typeof uiPort === 'number' || typeof uiPort === 'string' ? Number(uiPort) : 0;
  return Number.isInteger(port) && port > 0 ? `${name}:${port}` : name;
}

/** It appears in statuses and lists, so it is one short line. */
function tidy(name: string): string {
  return name
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, mostChars);
}
