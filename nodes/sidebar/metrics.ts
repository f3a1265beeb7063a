// Metrics for operators: in Prometheus' text format, and as Node-RED's metric events.

import type { NodeAPI } from 'node-red';
import { type EngineInfo, latencyBoundsMs, type SharedView } from '../../src/delivery/index';
import type { ShownQueue } from './overview';

/** One metric of the text format. */
interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly samples: readonly (readonly [suffix: string, labels: Labels, value: number])[];
}
type Labels = Readonly<Record<string, string>>;

/** https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
export const prometheusType = 'text/plain; version=0.0.4; charset=utf-8';

const states = [
  'starting',
  'outbox',
  'standby',
  'databaseAway',
  'parked',
  'paused',
  'rateLimited',
  'loginRefused',
  'loginWait',
  'misconfigured',
  'trouble',
  'refusing',
  'working',
  'idle',
] as const;

/** Every queue that runs; names and units are listed in docs/operations.md and stay. */
export function prometheusText(queues: readonly ShownQueue[], engines: readonly EngineInfo[]): string {
  return metricsOf(queues, engines).map(textOf).join('');
}

function metricsOf(queues: readonly ShownQueue[], engines: readonly EngineInfo[]): Metric[] {
  const gauge = (name: string, help: string, figure: (queue: ShownQueue) => number): Metric => ({
    name: `instant_audience_${name}`,
    type: 'gauge',
    help,
    samples: queues.map((queue) => ['', labelsOf(queue), figure(queue)]),
  });
  const counter = (name: string, help: string, figure: (queue: ShownQueue) => number): Metric => ({
    ...gauge(`${name}_total`, help, figure),
    type: 'counter',
  });
  const ofShared = (name: string, help: string, figure: (shared: SharedView) => number): Metric => ({
    ...gauge(name, help, () => 0),
    samples: queues.flatMap((queue) =>
      queue.shared === null ? [] : [['', labelsOf(queue), figure(queue.shared)] as const],
    ),
  });
  return [
    gauge('queue_entries', 'Pending entries.', ({ waiting }) => waiting),
    gauge('oldest_entry_age_seconds', 'Age of the oldest pending entry.', (queue) => queue.oldestMs / 1000),
    gauge(
      'warn_after_seconds',
      'Age from which the oldest entry counts as late.',
      (queue) => queue.warnAfterMs / 1000,
    ),
    gauge('late', '1 while the oldest entry is late, else 0.', ({ late }) => (late ? 1 : 0)),
    gauge('posts_in_flight', 'Calls waiting for an answer.', ({ postsInFlight }) => postsInFlight),
    gauge('users_per_second', 'Users accepted in the last whole second.', (queue) => queue.usersPerSecond),
    gauge('users_per_second_limit', 'Users that may be sent in a second.', ({ usersLimit }) => usersLimit),
    {
      name: 'instant_audience_state',
      type: 'gauge',
      help: '1 for the current state of the queue, else 0.',
      samples: queues.flatMap((queue) =>
        states.map(
          (state) => ['', { ...labelsOf(queue), state }, queue.state.kind === state ? 1 : 0] as const,
        ),
      ),
    },
    counter(
      'entries_taken',
      'Entries accepted into the queue, including those pending at the start.',
      ({ taken }) => taken,
    ),
    {
      name: 'instant_audience_entries_ended_total',
      type: 'counter',
      help: 'Entries that have ended, by outcome.',
      samples: queues.flatMap((queue) =>
        (['accepted', 'superseded', 'expired', 'rejected'] as const).map(
          (end) => ['', { ...labelsOf(queue), end }, queue[end]] as const,
        ),
      ),
    },
    counter('entries_invalid', 'Entries refused as invalid, and not queued.', ({ invalid }) => invalid),
    {
      name: 'instant_audience_entries_rejected_total',
      type: 'counter',
      help: 'Entries rejected or invalid, by code.',
      samples: queues.flatMap((queue) =>
        Object.entries(queue.rejectedByCode).map(
          ([code, count]) => ['', { ...labelsOf(queue), code }, count] as const,
        ),
      ),
    },
    {
      name: 'instant_audience_unaccounted_total',
      type: 'counter',
      help: 'Users and segments of accepted requests that the service did not count.',
      samples: queues.flatMap((queue) =>
        (['users', 'segments'] as const).map(
          (of) => ['', { ...labelsOf(queue), of }, queue.unaccounted[of]] as const,
        ),
      ),
    },
    latencyOf(queues, engines),
    ofShared('sender', '1 on the active instance, else 0.', ({ isSender }) => (isSender ? 1 : 0)),
    ofShared('instances', 'Instances that share the queue.', ({ instances }) => instances.length),
    ofShared(
      'kept_entries',
      'Entries stored on this machine until the database is reachable.',
      ({ kept }) => kept,
    ),
  ];
}

function latencyOf(queues: readonly ShownQueue[], engines: readonly EngineInfo[]): Metric {
  const samples = queues.flatMap((queue) => {
    const latency = engines.find(({ key }) => key === queue.key)?.engine.monitor.latency;
    if (latency === undefined) return [];
    const labels = labelsOf(queue);
    return [
      ...latencyBoundsMs.map(
        (ms) => ['_bucket', { ...labels, le: String(ms / 1000) }, latency.countUpTo(ms)] as const,
      ),
      ['_bucket', { ...labels, le: '+Inf' }, latency.count] as const,
      ['_sum', labels, latency.sumMs / 1000] as const,
      ['_count', labels, latency.count] as const,
    ];
  });
  return {
    name: 'instant_audience_latency_seconds',
    type: 'histogram',
    help: 'Time of an entry from its acceptance into the queue to that by the service.',
    samples,
  };
}

function labelsOf({ accounts, origin, member }: ShownQueue): Labels {
  return { account: accounts.map(({ name }) => name).join(', '), service: origin, member };
}

function textOf({ name, type, help, samples }: Metric): string {
  const lines = samples.map(([suffix, labels, value]) => {
    const text = Object.entries(labels).map(([label, of]) => `${label}="${escaped(of)}"`);
    return `${name}${suffix}{${text.join(',')}} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function escaped(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}

interface MetricNode {
  metric(): boolean;
  metric(event: string, message: object, value: number): void;
}

/** As `node.metric` events of each account, where the settings ask for metrics in the log. */
export function logMetrics(RED: NodeAPI, queues: readonly ShownQueue[]): void {
  for (const queue of queues) {
    for (const { id } of queue.accounts) {
      const node = RED.nodes.getNode(id) as unknown as MetricNode | null;
      if (node?.metric() !== true) continue;
      // Node-RED puts the message's id into the event; there is none here.
      const figures = {
        queue: queue.waiting,
        rate: queue.usersPerSecond,
        accepted: queue.accepted,
        rejected: queue.rejected,
        oldest: queue.oldestMs / 1000,
        late: queue.late ? 1 : 0,
      };
      for (const [event, value] of Object.entries(figures)) node.metric(event, {}, value);
    }
  }
}
