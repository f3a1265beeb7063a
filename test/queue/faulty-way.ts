// Faulty relay to a database: it can disconnect, freeze, lose answers, and deliver held data late.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const loopback = '127.0.0.1';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes that a client sent while calls were held. */
  held: Buffer[];
  /** Bytes that the database sent while answers were held. */
  heldAnswers: Buffer[];
}

export class FaultyWay {
  readonly #pairs = new Set<Pair>();
  #server: Server | null = null;
  /** Calls are held and do not reach the database. */
  holdsCalls = false;
  /** Answers are held. */
  holdsAnswers = false;
  /** Answers are lost. */
  losesAnswers = false;
  /** Bytes from clients are lost, including their disconnect; no answers arrive. */
  vanishes = false;
  /** New connections are refused. */
  refuses = false;

  private constructor(
    private readonly targetPort: number,
    private readonly targetUrl: string,
  ) {}

  static async to(targetUrl: string): Promise<FaultyWay> {
    const way = new FaultyWay(Number(new URL(targetUrl).port), targetUrl);
    way.#server = createServer({ allowHalfOpen: true }, (client) => way.#join(client));
    way.#server.listen(0, loopback);
    await once(way.#server, 'listening');
    return way;
  }

  get url(): string {
    const url = new URL(this.targetUrl);
    url.port = String((this.#server!.address() as AddressInfo).port);
    return url.href;
  }

  /** Breaks the clients' connections; the database keeps them, and receives the held calls with `deliver`. */
  breakClients(): void {
    for (const { client } of this.#pairs) client.destroy();
  }

  /** Delivers held calls to the database over its old connections. */
  deliver(): void {
    for (const pair of this.#pairs) {
      for (const chunk of pair.held) pair.server.write(chunk);
      pair.held = [];
    }
  }

  /** Delivers held answers: they are in the clients' sockets when this returns. */
  deliverAnswers(): void {
    for (const pair of this.#pairs) {
      for (const chunk of pair.heldAnswers) pair.client.write(chunk);
      pair.heldAnswers = [];
    }
  }

  get heldBytes(): number {
    return bytesOf([...this.#pairs].flatMap(({ held }) => held));
  }

  get heldAnswerBytes(): number {
    return bytesOf([...this.#pairs].flatMap(({ heldAnswers }) => heldAnswers));
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    await closed;
  }

  #join(client: Socket): void {
    if (this.refuses) {
      client.destroy();
      return;
    }
    const pair: Pair = { client, server: connect(this.targetPort, loopback), held: [], heldAnswers: [] };
    this.#pairs.add(pair);
    for (const socket of [client, pair.server]) socket.on('error', () => undefined);
    client.on('data', (chunk: Buffer) => {
      if (this.holdsCalls) pair.held.push(chunk);
      else if (!this.vanishes) pair.server.write(chunk);
    });
    client.on('end', () => {
      if (!this.vanishes) client.end();
    });
    pair.server.on('data', (chunk: Buffer) => {
      if (this.holdsAnswers) pair.heldAnswers.push(chunk);
      else if (!this.losesAnswers && !this.vanishes) client.write(chunk);
    });
    client.on('close', () => {
      if (pair.held.length === 0 && !this.losesAnswers) pair.server.end();
    });
    pair.server.on('close', () => {
      client.destroy();
      this.#pairs.delete(pair);
    });
  }
}

function bytesOf(chunks: readonly Buffer[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}
