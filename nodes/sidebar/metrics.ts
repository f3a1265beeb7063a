// Metrics for operators: in Prometheus' text format, and as Node-RED's metric events.

import type { NodeAPI } from 'node-red';
import { type EngineInfo, latencyBoundsMs } from '../../src/delivery/index';
import type { ShownQueue } from './overview';

type Labels = Readonly<Record<string, string>>;
/** Of one queue: a figure; several, by the value of one more label; or none. */
type Figures = number | Readonly<Record<string, number>> | null;

/** One metric of the text format; names and units are listed in docs/internals/metrics.md and stay. */
interface Metric {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly of: (queue: ShownQueue) => Figures;
  /** Of several figures. */
  readonly label: string;
}

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

const gauge = (name: string, help: string, of: Metric['of'], label = ''): Metric => ({
  type: 'gauge',
  name: `instant_audience_${name}`,
  help,
  of,
  label,
});

const counter = (name: string, help: string, of: Metric['of'], label = ''): Metric => ({
  ...gauge(`${name}_total`, help, of, label),
  type: 'counter',
});

const metrics: readonly Metric[] = [
  gauge('queue_entries', 'Pending entries.', ({ waiting }) => waiting),
  gauge('oldest_entry_age_seconds', 'Age of the oldest pending entry.', ({ oldestMs }) => oldestMs / 1000),
  gauge(
    'warn_after_seconds',
    'Age from which the oldest entry counts as late.',
    ({ warnAfterMs }) => warnAfterMs / 1000,
  ),
  gauge('late', '1 while the oldest entry is late, else 0.', ({ late }) => Number(late)),
  gauge('posts_in_flight', 'Posts that wait for a response.', ({ postsInFlight }) => postsInFlight),
  gauge('users_per_second', 'Users delivered in the last whole second.', (queue) => queue.usersPerSecond),
  gauge('users_per_second_limit', 'Users that may be sent in a second.', ({ usersLimit }) => usersLimit),
  gauge(
    'state',
    '1 for the present state of the queue, else 0.',
    ({ state: { kind } }) => Object.fromEntries(states.map((state) => [state, Number(kind === state)])),
    'state',
  ),
  counter(
    'entries_taken',
    'Entries accepted into the queue, with those pending at the start.',
    ({ taken }) => taken,
  ),
  counter(
    'entries_ended',
    'Entries that have ended, by outcome.',
    ({ accepted, superseded, expired, rejected }) => ({ accepted, superseded, expired, rejected }),
    'end',
  ),
  counter('entries_invalid', 'Invalid entries, which were not queued.', ({ invalid }) => invalid),
  counter(
    'entries_rejected',
    'Entries rejected or invalid, by code.',
    ({ rejectedByCode }) => rejectedByCode,
    'code',
  ),
  counter(
    'unaccounted',
    'Users and segments of accepted requests that the service did not count.',
    ({ unaccounted: { users, segments } }) => ({ users, segments }),
    'of',
  ),
];

const ofShared: readonly Metric[] = [
  gauge('sender', '1 on the instance that sends, else 0.', ({ shared }) =>
    shared === null ? null : Number(shared.isSender),
  ),
  gauge('instances', 'Instances that share the queue.', ({ shared }) => shared?.instances.length ?? null),
  gauge(
    'kept_entries',
    'Entries stored on this machine until the database is reachable.',
    ({ shared }) => shared?.kept ?? null,
  ),
];

/** Every queue that runs. */
export function prometheusText(queues: readonly ShownQueue[], engines: readonly EngineInfo[]): string {
  const text = (metric: Metric): string => textOf(metric, queues);
  return [...metrics.map(text), latencyText(queues, engines), ...ofShared.map(text)].join('');
}

function textOf({ name, type, help, of, label }: Metric, queues: readonly ShownQueue[]): string {
  const lines = queues.flatMap((queue) => {
    const figures = of(queue);
    if (figures === null) return [];
    const labels = labelsOf(queue);
    if (typeof figures === 'number') return [line(name, labels, figures)];
    return Object.entries(figures).map(([key, figure]) => line(name, { ...labels, [label]: key }, figure));
  });
  return headOf(name, type, help) + lines.join('');
}

function latencyText(queues: readonly ShownQueue[], engines: readonly EngineInfo[]): string {
  const name = 'instant_audience_latency_seconds';
  const lines = queues.flatMap((queue) => {
    const latency = engines.find(({ key }) => key === queue.key)?.engine.monitor.latency;
    if (latency === undefined) return [];
    const labels = labelsOf(queue);
    const bucket = (le: string, count: number): string => line(`${name}_bucket`, { ...labels, le }, count);
    return [
      ...latencyBoundsMs.map((ms) => bucket(String(ms / 1000), latency.countUpTo(ms))),
      bucket('+Inf', latency.count),
      line(`${name}_sum`, labels, latency.sumMs / 1000),
      line(`${name}_count`, labels, latency.count),
    ];
  });
  return headOf(name, 'histogram', 'From taken to accepted, by entry.') + lines.join('');
}

function labelsOf({ accounts, origin, member }: ShownQueue): Labels {
  return { account: accounts.map(({ name }) => name).join(', '), service: origin, member };
}

function headOf(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function line(name: string, labels: Labels, value: number): string {
  const text = Object.entries(labels).map(([label, of]) => `${label}="${escaped(of)}"`);
  return `${name}{${text.join(',')}} ${value}\n`;
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
