// A network namespace that a process runs in, with two cables to this machine: one to the database, one to all else.
// The first can be pulled out: what is sent vanishes, and nobody is told.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Outside, inside. */
const cables = { all: ['10.78.0.1', '10.78.0.2'], database: ['10.78.1.1', '10.78.1.2'] } as const;

/** `close()` it in the end, whatever happened. Needs Linux and root, and there can be one at a time. */
export class OwnNetwork {
  readonly #name = `audience-${process.pid}`;
  /** This machine's addresses on the two cables. */
  readonly outside = cables.all[0];
  readonly databaseHost = cables.database[0];
  /** The address of what runs inside. */
  readonly inside = cables.all[1];

  /** Null, with a reason on the screen, where it cannot be had. */
  static async open(): Promise<OwnNetwork | null> {
    const network = new OwnNetwork();
    try {
      await network.#make();
      return network;
    } catch (error) {
      await network.close();
      const { stderr = String(error) } = error as { stderr?: string };
      console.log(`      no network namespace: ${stderr.trim()}`);
      return null;
    }
  }

  /** What runs a program inside, in front of its own arguments; in its place, so that signals reach it. */
  get through(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name];
  }

  async cut(): Promise<void> {
    await run('ip', ['link', 'set', outsideEnd('database'), 'down']);
  }

  async join(): Promise<void> {
    await run('ip', ['link', 'set', outsideEnd('database'), 'up']);
  }

  async close(): Promise<void> {
    for (const cable of ['all', 'database'] as const)
      await run('ip', ['link', 'del', outsideEnd(cable)]).catch(() => undefined);
    await run('ip', ['netns', 'del', this.#name]).catch(() => undefined);
  }

  async #make(): Promise<void> {
    const name = this.#name;
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    for (const cable of ['all', 'database'] as const) {
      const [near, far] = [outsideEnd(cable), `${outsideEnd(cable)}-in`];
      const [nearAddress, farAddress] = cables[cable];
      await run('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name]);
      await run('ip', ['addr', 'add', `${nearAddress}/24`, 'dev', near]);
      await run('ip', ['link', 'set', near, 'up']);
      await run('ip', ['-n', name, 'addr', 'add', `${farAddress}/24`, 'dev', far]);
      await run('ip', ['-n', name, 'link', 'set', far, 'up']);
    }
  }
}

/** At most 15 letters, with what the other end has behind them. */
function outsideEnd(cable: keyof typeof cables): string {
  return `audience-${cable === 'all' ? 'a' : 'd'}`;
}
