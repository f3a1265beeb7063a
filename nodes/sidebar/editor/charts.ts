// Three charts of the last hour of one queue: users a second, queued entries, and latency.
import uPlot from 'uplot';
import type { Sample } from '../../../src/delivery/index';
import type { ShownQueue } from '../overview';
import { duration, number, shortNumber, word } from './words';

/** The shown time: the last hour, or less after a fresh start. */
const mostSeconds = 3600;
const fewestSeconds = 600;
const heightPx = 84;
const mostSamples = 360;

type Figures = (number | null)[];

interface Line {
  /** A variable of the editor's theme. */
  readonly colour: string;
  readonly fills: boolean;
  readonly dashed: boolean;
  readonly of: (sample: Sample) => number | null;
}

interface Kind {
  readonly name: 'rate' | 'queue' | 'latency';
  readonly lines: readonly Line[];
  /** At the axis. */
  readonly axis: (figure: number) => string;
  /** In words, of one moment. */
  readonly says: (figures: Figures) => string;
}

const line = (colour: string, of: Line['of'], fills: boolean, dashed = false): Line => {
  return { colour, of, fills, dashed };
};

const kinds: readonly Kind[] = [
  {
    name: 'rate',
    lines: [line('--red-ui-text-color-success', ({ usersPerSecond }) => usersPerSecond, true)],
    axis: wholeNumber,
    says: ([rate]) => word('chart.rateSays', { rate: number(Math.round(rate ?? 0)) }),
  },
  {
    name: 'queue',
    lines: [line('--red-ui-node-status-colors-blue', ({ waiting }) => waiting, true)],
    axis: wholeNumber,
    says: ([waiting]) => word('chart.queueSays', { waiting: number(waiting ?? 0) }),
  },
  {
    name: 'latency',
    lines: [
      line('--red-ui-text-color-warning', ({ medianMs }) => inSeconds(medianMs), false),
      line('--red-ui-text-color-warning', ({ slowMs }) => inSeconds(slowMs), false, true),
    ],
    axis: (seconds) =>
      seconds < 1
        ? `${Math.round(seconds * 1000)} ms`
        : `${seconds < 10 ? number(seconds) : shortNumber(seconds)} s`,
    says: ([median, slow]) =>
      median === null || median === undefined
        ? word('chart.latencyNone')
        : word('chart.latencySays', {
            median: duration(median * 1000),
            slow: duration((slow ?? median) * 1000),
          }),
  },
];

function wholeNumber(figure: number): string {
  return Number.isInteger(figure) ? shortNumber(figure) : '';
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

interface Drawn {
  readonly kind: Kind;
  readonly plot: uPlot;
  readonly says: HTMLElement;
}

/** Those to be drawn: one queue's in a frame, so that with many queues no frame is long. */
const toDraw = new Set<Charts>();
let isNextAsked = false;

function drawSoon(charts: Charts): void {
  toDraw.add(charts);
  askForNext();
}

function askForNext(): void {
  if (isNextAsked || toDraw.size === 0) return;
  isNextAsked = true;
  requestAnimationFrame(() => {
    isNextAsked = false;
    const [next] = toDraw;
    if (next !== undefined) toDraw.delete(next);
    next?.draw();
    askForNext();
  });
}

export class Charts {
  readonly root = document.createElement('div');
  private samples: Sample[] = [];
  private drawn: Drawn[] = [];
  private live: Sample | null = null;
  private onScreen = false;
  private readonly sizes = new ResizeObserver(() => this.fit());
  private readonly sights = new IntersectionObserver((entries) => {
    this.onScreen = entries.some(({ isIntersecting }) => isIntersecting);
    this.drawIfSeen();
  });

  /** A picture keeps the colours in which it was drawn. */
  private readonly themes = new MutationObserver(() => this.drawIfSeen());

  constructor() {
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ['class'] });
    this.root.className = 'instant-audience-charts';
    this.sizes.observe(this.root);
    this.sights.observe(this.root);
  }

  setHistory(samples: readonly Sample[]): void {
    this.samples = samples.slice(-mostSamples);
  }

  /** The current figures; stores a new sample. */
  update({ usersPerSecond, waiting, lastSample }: ShownQueue, nowMs: number): void {
    if (lastSample !== null && lastSample.atMs > (this.samples.at(-1)?.atMs ?? -Infinity)) {
      this.samples.push(lastSample);
      if (this.samples.length > mostSamples) this.samples.shift();
    }
    const { medianMs, slowMs } = lastSample ?? { medianMs: null, slowMs: null };
    this.live = { atMs: nowMs, usersPerSecond, waiting, medianMs, slowMs };
    this.drawIfSeen();
  }

  /** Draws only visible charts. */
  private drawIfSeen(): void {
    if (this.onScreen) drawSoon(this);
  }

  /** In its turn. */
  draw(): void {
    if (!this.onScreen || this.root.clientWidth === 0 || this.live === null) return;
    if (this.drawn.length === 0) this.drawn = kinds.map((kind) => this.make(kind));
    const samples = [...this.samples, this.live];
    const times = samples.map(({ atMs }) => atMs / 1000);
    for (const { kind, plot, says } of this.drawn) {
      const columns = kind.lines.map(({ of }) => samples.map(of));
      plot.setData([times, ...columns] as uPlot.AlignedData);
      if (plot.cursor.left === undefined || plot.cursor.left < 0)
        this.say(kind, says, samples.length - 1, columns);
    }
  }

  private say(kind: Kind, says: HTMLElement, index: number, columns: readonly Figures[]): void {
    const text = kind.says(columns.map((column) => column[index] ?? null));
    if (says.textContent !== text) says.textContent = text;
  }

  private make(kind: Kind): Drawn {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const name = document.createElement('span');
    name.textContent = word(`chart.${kind.name}`);
    const says = document.createElement('span');
    caption.append(name, says);
    const place = document.createElement('div');
    // The caption has the figures, so screen readers skip the picture.
    place.setAttribute('aria-hidden', 'true');
    figure.append(caption, place);
    this.root.append(figure);
    const plot = new uPlot(this.options(kind, says), [[], ...kind.lines.map(() => [])], place);
    return { kind, plot, says };
  }

  private options(kind: Kind, says: HTMLElement): uPlot.Options {
    const axis = {
      stroke: () => colour('--red-ui-primary-text-color'),
      font: '11px sans-serif',
      grid: { stroke: () => colour('--red-ui-secondary-border-color'), width: 1 },
      ticks: { show: false },
    };
    return {
      width: this.root.clientWidth,
      height: heightPx,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      // Half of a time stands right of the last one.
      padding: [6, 20, 0, 0],
      scales: {
        x: { time: true, range: () => [this.fromSeconds(), this.nowSeconds()] },
        // From zero, so that small changes of a calm queue look small.
        y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] },
      },
      axes: [
        { ...axis, space: 60, size: 20, values: (_plot, times) => times.map(clock) },
        { ...axis, space: 24, size: roomFor, values: (_plot, figures) => figures.map(kind.axis) },
      ],
      series: [
        {},
        ...kind.lines.map(({ colour: name, fills, dashed }) => ({
          stroke: () => colour(name),
          width: 1.5,
          spanGaps: false,
          points: { show: false },
          ...(fills && { fill: () => faint(colour(name)) }),
          ...(dashed && { dash: [4, 3] }),
        })),
      ],
      hooks: {
        setCursor: [
          (plot) => {
            const last = plot.data[0].length - 1;
            const columns = plot.data.slice(1) as Figures[];
            this.say(kind, says, plot.cursor.idx ?? last, columns);
          },
        ],
      },
    };
  }

  /** By the runtime's clock. */
  private nowSeconds(): number {
    return (this.live?.atMs ?? Date.now()) / 1000;
  }

  private fromSeconds(): number {
    const now = this.nowSeconds();
    const seconds = now - (this.samples[0]?.atMs ?? now * 1000) / 1000;
    return now - Math.min(mostSeconds, Math.max(fewestSeconds, seconds));
  }

  private fit(): void {
    const width = this.root.clientWidth;
    if (width === 0) return;
    for (const { plot } of this.drawn) if (plot.width !== width) plot.setSize({ width, height: heightPx });
    this.drawIfSeen();
  }

  destroy(): void {
    toDraw.delete(this);
    this.onScreen = false;
    this.sizes.disconnect();
    this.themes.disconnect();
    this.sights.disconnect();
    for (const { plot } of this.drawn) plot.destroy();
    this.drawn = [];
  }
}

/** As wide as the longest figure needs, at least so that the charts of most queues stand below each other. */
const leastRoomPx = 48;

function roomFor(plot: uPlot, figures: string[] | null): number {
  const { ctx } = plot;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px sans-serif`;
  const widths = (figures ?? []).map((figure) => ctx.measureText(figure).width / devicePixelRatio);
  ctx.restore();
  return Math.max(leastRoomPx, Math.ceil(Math.max(0, ...widths)) + 16);
}

function clock(seconds: number): string {
  const at = new Date(seconds * 1000);
  return `${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`;
}

/** Of the theme as it is now: read at every drawing, since it may change. */
function colour(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

function faint(of: string): string {
  return `color-mix(in srgb, ${of} 16%, transparent)`;
}
