// Several real Node-RED instances with one queue in a real PostgreSQL, under load and failures.
import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import type { Fault } from '../../src/sandbox/sandbox';
import {
  AudienceSite,
  assertNothingEscaped,
  audienceFlow,
  nodeIds,
  type SiteOptions,
} from '../support/audience-site';
import { EventLoad, type LoadOptions } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { until, type NodeRedVersion } from '../support/node-red';
import type { OwnNetwork } from '../support/own-network';
import { assertQuotaKept } from '../support/quota';
import { Relay } from '../support/relay';
import { postgresAt } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';

export interface SharedSites {
  readonly versions: readonly NodeRedVersion[];
  readonly databaseUrl: string;
  /** Where the test itself asks, which is that unless said. */
  readonly askedUrl?: string;
  readonly users?: number;
  readonly clients?: number;
  readonly pauseMs?: number;
  readonly limits?: Limits;
  readonly faults?: readonly Fault[];
  readonly delivery?: LoadOptions['delivery'];
  readonly sticky?: boolean;
  /** The last of them runs in it. */
  readonly network?: OwnNetwork | null;
}

/** What is in the database, as an operator would ask it. */
export interface SharedState {
  readonly waiting: number;
  readonly sender: string | null;
  readonly epoch: number;
}

/** `close()` it in the end, whatever happened. */
export class SharedRun {
  readonly expected = new ExpectedAudience();
  readonly load: EventLoad;
  askedUrl: string;

  private constructor(
    readonly sandbox: StandAloneSandbox,
    /** Where the service is, for all of them. */
    private readonly serviceUrl: string,
    readonly sites: readonly AudienceSite[],
    private readonly options: SharedSites,
    private readonly relays: readonly Relay[],
  ) {
    const { users = 240, clients = 16, pauseMs = 5, delivery = 'once', sticky = false } = options;
    this.askedUrl = options.askedUrl ?? options.databaseUrl;
    this.load = new EventLoad({
      expected: this.expected,
      users,
      clients,
      pauseMs,
      answerMs: 15_000,
      delivery,
      sticky,
    });
  }

  /** Each runs, and knows who sends. */
  static async start(options: SharedSites): Promise<SharedRun> {
    const { versions, limits, faults = [], network = null } = options;
    const sandbox = await StandAloneSandbox.start({ faults });
    const relays = network === null ? [] : [await Relay.open(sandbox.url, network.outside)];
    const serviceUrl = relays[0]?.url ?? sandbox.url;
    const sites: AudienceSite[] = [];
    const run = new SharedRun(sandbox, serviceUrl, sites, options, relays);
    try {
      for (const [index, version] of versions.entries()) {
        const isInside = network !== null && index === versions.length - 1;
        const site = await AudienceSite.make({
          version,
          serviceUrl,
          databaseUrl: options.databaseUrl,
          name: `node-${index + 1}`,
          settings: { instantAudience: { metrics: true } },
          ...(limits !== undefined && { limits }),
          ...(isInside && (await insideOf(network, options.databaseUrl, relays))),
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
    const schema = schemaOf({ origin: new URL(this.serviceUrl).origin, member: '1' });
    const client = await postgresAt(this.askedUrl);
    try {
      const { rows } = await client.query(`
        SELECT total.waiting::int AS waiting, lease.epoch::int AS epoch,
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

  /** Entries that each that runs keeps on its machine. */
  async kept(): Promise<number[]> {
    const texts = this.sites
      .filter(({ isRunning }) => isRunning)
      .map(({ running }) => running.text('instant-audience/metrics'));
    return (await Promise.all(texts)).map((text) =>
      Number(/^\w+_kept_entries\{.*\} (\d+)$/m.exec(text)?.[1]),
    );
  }

  /** Each restarts what a deploy of this type has changed: everything, the account, or the out node. */
  async deployAll(deploy: number): Promise<void> {
    const { type, id } = deploys[deploy % deploys.length]!;
    const { limits, databaseUrl } = this.options;
    for (const site of this.sites) {
      const flow = audienceFlow({
        serviceUrl: this.serviceUrl,
        databaseUrl,
        ...(limits !== undefined && { limits }),
      });
      const changed = flow.map((node) => (node.id === id ? { ...node, info: `deploy ${deploy}` } : node));
      await site.running.deploy(changed, type);
    }
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

  async assertQuota(): Promise<void> {
    const { limits } = this.options;
    const changed =
      limits === undefined
        ? {}
        : { postsPerSecond: limits.postsPerSecond, usersPerSecond: limits.usersPerSecond };
    assertQuotaKept(await this.sandbox.peaks(), changed);
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
    for (const relay of this.relays) await relay.close();
    await this.sandbox.kill();
  }
}

const deploys = [
  { type: 'full', id: nodeIds.tab },
  { type: 'nodes', id: nodeIds.account },
  { type: 'nodes', id: nodeIds.out },
] as const;

/** It has a way of its own to the database. */
async function insideOf(
  network: OwnNetwork,
  databaseUrl: string,
  relays: Relay[],
): Promise<Partial<SiteOptions>> {
  const relay = await Relay.open(databaseUrl, network.databaseHost);
  relays.push(relay);
  const far = new URL(databaseUrl);
  far.host = new URL(relay.url).host;
  const settings = { instantAudience: { metrics: true }, uiHost: network.inside };
  return { databaseUrl: far.href, through: network.through, settings };
}

/** What a machine keeps is handed over a second after the database is back, at the latest. */
const keptMs = 2_500;
/** Users whose old request may still run are sent once more then. */
export const repeatedMs = 32_000;

export { sleep };
