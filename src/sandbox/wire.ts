// Reads request bodies up to a limit, and sends replies.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Reply } from './reply';

export interface Body {
  /** Empty when the body is larger than the limit. */
  readonly text: string;
  /** Number of all received bytes, including those beyond the limit. */
  readonly bytes: number;
}

/** Above this size the connection is cut; a smaller body over the limit is discarded and refused with a reply. */
const maxDiscardedBytes = 64_000_000;

/**
 * Calls `then` once: with the body, or with null when the client disconnects. A body over the limit is read to its end
 * and discarded, since few clients read a reply before they have sent the whole body.
 */
export function readBody(
  request: IncomingMessage,
  limitBytes: number,
  then: (body: Body | null) => void,
): void {
  let chunks: Buffer[] = [];
  let bytes = 0;
  let over = false;
  const finish = (body: Body | null) => {
    if (!over) then(body);
    over = true;
  };
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxDiscardedBytes) request.destroy();
    else if (bytes > limitBytes) chunks = [];
    else chunks.push(chunk);
  });
  request.on('end', () => finish({ text: toText(chunks), bytes }));
  request.on('error', () => finish(null));
  request.on('close', () => finish(null));
}

function toText(chunks: readonly Buffer[]): string {
  return (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8');
}

/** Sends a reply, unless the client has disconnected. */
export function send(response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return;
  response.statusCode = reply.status;
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', Buffer.byteLength(reply.body));
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  response.end(reply.body);
}
