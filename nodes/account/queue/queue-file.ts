// Paths of queue files in Node-RED's user directory.

import { createHash } from 'node:crypto';
import { join } from 'node:path';

export function queueFolder(userDir: string): string {
  return join(userDir, 'instant-audience');
}

/** One file for each service and member, named so that a person finds it. */
export function queueFile(userDir: string, origin: string, member: string): string {
  return join(queueFolder(userDir), `${nameOf(origin, member)}.sqlite`);
}

/** Where entries for a shared queue wait while its database cannot be reached. */
export function bufferFile(userDir: string, origin: string, member: string): string {
  return join(queueFolder(userDir), `${nameOf(origin, member)}-kept.sqlite`);
}

/** The origin in a file's name, as far as the name has room for it. */
export function originIn(readable: string): string {
  try {
    const origin = decodeURIComponent(readable);
    return origin === 'sandbox' || origin.includes('://') ? origin : `https://${origin}`;
  } catch {
    return readable;
  }
}

const escaped = (char: string): string => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`;

function nameOf(origin: string, member: string): string {
  const readable = origin
    .replace(/^https:\/\//, '')
    .replace(/[^\w.-]/g, escaped)
    .slice(0, 80)
    .replace(/%.?$/, '');
  const exact = createHash('sha256').update(`${origin} ${member}`).digest('hex').slice(0, 8);
  return `${readable}-${member}-${exact}`;
}
