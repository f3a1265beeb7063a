// A TCP relay in front of the sandbox or a database: closed, it is gone, while what is behind it keeps its state. Silent, it
// is a network that has gone without a word.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

const loopback = '127.0.0.1';
/** Below the ports that systems hand out to clients, so that none of these takes ours while the relay is closed. */
const ports = { first: 20_000, count: 10_000 };
const portTries = 50;

export class Relay {
  private server: Server | null = null;
  private readonly sockets = new Set<Socket>();
  private isSilent = false;

  private constructor(
    private targetPort: number,
    private port: number,
  ) {}

  /** Opens a relay to what listens at `targetUrl`, on a port of its own. */
  static async open(targetUrl: string): Promise<Relay> {
    const relay = new Relay(Number(new URL(targetUrl).port), 0);
    for (let tries = 1; ; tries += 1) {
      relay.port = ports.first + Math.floor(Math.random() * ports.count);
      try {
        await relay.reopen();
        return relay;
      } catch (error) {
        if (tries === portTries) throw error;
      }
    }
  }

  get url(): string {
    return `http://${loopback}:${this.port}`;
  }

  /** Breaks every connection and takes no more: who connects is refused. */
  async close(): Promise<void> {
    const { server } = this;
    if (server === null) return;
    this.server = null;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Nothing gets through any more, and nobody is told: connections stay, and new ones are taken. */
  silence(): void {
    this.isSilent = true;
    for (const socket of this.sockets) socket.unpipe().pause();
  }

  /** Where new connections go from now on; those that are there stay. */
  leadTo(targetUrl: string): void {
    this.targetPort = Number(new URL(targetUrl).port);
  }

  /** Listens again, on the same port. */
  async reopen(): Promise<void> {
    const server = createServer((client) => this.join(client, connect(this.targetPort, loopback)));
    server.listen(this.port, loopback);
    await once(server, 'listening');
    this.server = server;
  }

  /** When one side goes, the other goes too. */
  private join(client: Socket, target: Socket): void {
    if (!this.isSilent) client.pipe(target).pipe(client);
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
