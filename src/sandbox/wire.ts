// A request's body comes in, up to a limit, and a reply goes out.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Reply } from './reply';

export interface Body {
  /** Empty when the body is larger than the limit. */
  readonly text: string;
  /** All bytes that came, also those past the limit. */
  readonly bytes: number;
}

/** A client that sends on and on is cut off here; up to this it gets its refusal in peace. */
const mostDiscardedBytes = 64_000_000;

/**
 * Calls once: with the body, or with null when the client went away. A body over the limit is read to its end
 * and thrown away, since a reply before the end reaches few clients.
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
    if (bytes > mostDiscardedBytes) request.destroy();
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

/** Sends a reply, unless the client has gone. */
export function send(response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return;
  response.statusCode = reply.status;
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', Buffer.byteLength(reply.body));
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  response.end(reply.body);
}
