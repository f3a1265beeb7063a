// Several real Node-RED instances with one queue in a real PostgreSQL, under load and failures.
import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import type { Fault } from '../../src/sandbox/sandbox';
import { AudienceSite, assertNothingEscaped } from '../support/audience-site';
import { EventLoad, type LoadOptions } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { until, type NodeRedVersion } from '../support/node-red';
import { postgresAt } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';

export interface SharedSites {
  readonly versions: readonly NodeRedVersion[];
  readonly databaseUrl: string;
  /** Where the test itself asks, which is that unless said. */
  readonly askedUrl?: string;
  readonly faults?: readonly Fault[];
  readonly delivery?: LoadOptions['delivery'];
  readonly sticky?: boolean;
}

/** What is in the database, as an operator would ask it. */
export interface SharedState {
  readonly waiting: number;
  readonly sender: string | null;
  readonly fencingToken: number;
}

/** `close()` it in the end, whatever happened. */
export class SharedRun {
  readonly expected = new ExpectedAudience();
  readonly load: EventLoad;
  private readonly askedUrl: string;

  private constructor(
    readonly sandbox: StandAloneSandbox,
    readonly sites: readonly AudienceSite[],
    options: SharedSites,
  ) {
    const { delivery = 'once', sticky = false } = options;
    this.askedUrl = options.askedUrl ?? options.databaseUrl;
    this.load = new EventLoad({
      expected: this.expected,
      users: 240,
      clients: 16,
      pauseMs: 5,
      answerMs: 15_000,
      delivery,
      sticky,
    });
  }

  /** Each runs, and knows who sends. */
  static async start(options: SharedSites): Promise<SharedRun> {
    const { versions, faults = [] } = options;
    const sandbox = await StandAloneSandbox.start({ faults });
    const sites: AudienceSite[] = [];
    const run = new SharedRun(sandbox, sites, options);
    try {
      for (const [index, version] of versions.entries()) {
        const site = await AudienceSite.make({
          version,
          serviceUrl: sandbox.url,
          databaseUrl: options.databaseUrl,
          name: `node-${index + 1}`,
        });
        sites.push(site);
        await site.start();
      }
      await run.sends(null);
    } catch (error) {
      await run.close();
      throw error;
    }
    return run;
  }

  get eventUrls(): string[] {
    return this.sites.map(({ eventsUrl }) => eventsUrl);
  }

  async state(): Promise<SharedState> {
    const schema = schemaOf({ origin: new URL(this.sandbox.url).origin, member: '1' });
    const client = await postgresAt(this.askedUrl);
    try {
      const { rows } = await client.query(`
        SELECT total.waiting::int AS waiting, lease.fencing_token::int AS "fencingToken",
          CASE WHEN lease.expires_at > clock_timestamp() THEN lease.holder_name END AS sender
        FROM ${schema}.total, ${schema}.lease`);
      return rows[0] as SharedState;
    } finally {
      await client.end();
    }
  }

  /** Resolves with who sends, once somebody does other than `not`. */
  async sends(not: string | null, timeoutMs = 20_000): Promise<number> {
    let sender: string | null = null;
    await until(
      async () => {
        sender = (await this.state().catch(() => null))?.sender ?? null;
        return sender !== null && sender !== not;
      },
      timeoutMs,
      () => `somebody other than ${not} who sends; logs:\n${this.logs()}`,
    );
    return this.sites.findIndex((_, index) => `node-${index + 1}` === sender);
  }

  /** Resolves when nothing has waited in the database for so long that no machine keeps anything back either. */
  async drained(timeoutMs = 40_000): Promise<void> {
    let emptySinceMs: number | null = null;
    await until(
      async () => {
        const { waiting } = await this.state();
        emptySinceMs = waiting > 0 ? null : (emptySinceMs ?? performance.now());
        return emptySinceMs !== null && performance.now() - emptySinceMs > keptMs;
      },
      timeoutMs,
      () => `an empty queue; logs:\n${this.logs()}`,
    );
  }

  /** Resolves when so many events have been taken: a busy machine needs longer for them. */
  async taken(atLeast: number): Promise<void> {
    const { counts } = this.load;
    await until(
      () => counts.taken >= atLeast,
      60_000,
      () => `${atLeast} events taken: ${JSON.stringify(counts)}; logs:\n${this.logs()}`,
    );
  }

  /** The service holds what the events in their order give. */
  async assertAudience(): Promise<number> {
    const state = await this.sandbox.state();
    assert.deepEqual(this.expected.differences(state), [], this.logs());
    this.expected.settle(state);
    return state.length;
  }

  assertNothingEscaped(): void {
    for (const { log } of this.sites) assertNothingEscaped(log);
  }

  logs(): string {
    return this.sites.map(({ log }, index) => `node-${index + 1}:\n${log.slice(-4_000)}`).join('\n');
  }

  async close(): Promise<void> {
    await this.load.discard();
    for (const site of this.sites) {
      try {
        site.signal('SIGCONT');
      } catch {
        // It does not run.
      }
      await site.close();
    }
    await this.sandbox.kill();
  }
}

/** What a machine keeps is handed over a second after the database is back, at the latest. */
const keptMs = 2_500;
/** Users whose old request may still run are sent once more then. */
export const repeatedMs = 32_000;

export { sleep };
