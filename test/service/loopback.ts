// Servers on loopback for the client's tests: HTTP, HTTPS, bare TCP and a proxy.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ServiceClient, type ServiceClientOptions } from '../../src/service/client';
import { cleanUps } from '../support/clean-up';

export const fixture = (name: string) => readFileSync(join(__dirname, 'fixtures', name), 'utf8');

export interface Running {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts a server; `close` ends it and all its sockets, whatever their peers do. */
export async function listen(server: net.Server, host = '127.0.0.1'): Promise<Running> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** One request that a server received, with its whole body. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

type Answer = (seen: Seen, response: http.ServerResponse) => void;

function collect(answer: Answer): http.RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      answer({ method, url, headers, body: Buffer.concat(chunks).toString() }, response);
    });
  };
}

export const httpServer = (answer: Answer) => http.createServer(collect(answer));

export const httpsServer = (
  name: 'localhost' | 'elsewhere',
  answer: Answer,
  more: https.ServerOptions = {},
) =>
  https.createServer(
    { key: fixture(`${name}-key.pem`), cert: fixture(`${name}-cert.pem`), ...more },
    collect(answer),
  );

/** A proxy for tunnels; `connects` collects the headers of each CONNECT. A status from `refuse` refuses the tunnel. */
export function proxyServer(connects: http.IncomingHttpHeaders[], refuse: () => number | null) {
  const server = http.createServer();
  server.on('connect', (request: http.IncomingMessage, client: net.Socket) => {
    connects.push(request.headers);
    const status = refuse();
    if (status !== null) {
      client.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const port = Number(request.url?.split(':')[1]);
    const target = net.connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    const end = () => {
      target.destroy();
      client.destroy();
    };
    target.on('error', end).on('close', end);
    client.on('error', end).on('close', end);
  });
  return server;
}

/** Call in a suite: servers, and clients of them, closed after each test. */
export function clients() {
  const ends = cleanUps(afterEach);

  async function running(server: net.Server, host = '127.0.0.1'): Promise<Running> {
    const one = await listen(server, host);
    ends(() => one.close());
    return one;
  }

  function clientFor(url: string, more: Partial<ServiceClientOptions> = {}): ServiceClient {
    const client = new ServiceClient({ authUrl: url, serviceUrl: url, requestTimeoutMs: 5000, ...more });
    ends(() => client.close());
    return client;
  }

  /** A client of a server that answers like this, and what the server saw. */
  async function withServer(answer: Answer, more: Partial<ServiceClientOptions> = {}) {
    const seen: Seen[] = [];
    const server = httpServer((one, response) => {
      seen.push(one);
      answer(one, response);
    });
    const { port } = await running(server);
    return { seen, client: clientFor(`http://127.0.0.1:${port}`, more) };
  }

  return { ends, running, clientFor, withServer };
}
