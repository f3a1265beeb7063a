// Three charts of the last hour of one queue: users a second with their limit, pending entries, and latency.
import uPlot from 'uplot';
import type { Sample } from '../../../../src/delivery/index';
import type { ShownQueue } from '../../overview';
import { make, setText } from '../dom';
import { duration, number, shortNumber, word } from '../words';

/** The shown time: the last hour, or less after a fresh start. */
const mostSeconds = 3600;
const fewestSeconds = 600;
const heightPx = 76;
const mostSamples = 360;

type Figures = (number | null)[];

interface Line {
  /** A variable of the editor's theme. */
  readonly colour: string;
  readonly look: 'filled' | 'plain' | 'dashed';
  readonly of: (sample: Sample) => number | null;
}

interface Kind {
  readonly name: 'rate' | 'queue' | 'latency';
  readonly lines: readonly Line[];
  /** At the axis. */
  readonly axis: (figure: number) => string;
  /** In words, of one moment. */
  readonly says: (figures: Figures, usersLimit: number) => string;
}

const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/** Neutral: amber and red are for trouble. */
const data = '--red-ui-secondary-text-color';

const kinds: readonly Kind[] = [
  {
    name: 'rate',
    lines: [{ colour: data, look: 'filled', of: (sample) => sample.usersPerSecond }],
    axis: wholeNumber,
    says: ([rate], limit) =>
      word('chart.rateSays', { rate: number(Math.round(rate ?? 0)), limit: number(limit) }),
  },
  {
    name: 'queue',
    lines: [{ colour: data, look: 'filled', of: ({ waiting }) => waiting }],
    axis: wholeNumber,
    says: ([waiting]) => word('chart.queueSays', { waiting: number(waiting ?? 0) }),
  },
  {
    name: 'latency',
    lines: [
      { colour: data, look: 'plain', of: ({ medianMs }) => inSeconds(medianMs) },
      { colour: data, look: 'dashed', of: ({ slowMs }) => inSeconds(slowMs) },
    ],
    axis: (seconds) => {
      if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
      return `${seconds < 10 ? number(seconds) : shortNumber(seconds)} s`;
    },
    says: ([median, slow]) => {
      if (median === null || median === undefined) return word('chart.latencyNone');
      const [half, most] = [duration(median * 1000), duration((slow ?? median) * 1000)];
      return word('chart.latencySays', { median: half, slow: most });
    },
  },
];

function wholeNumber(figure: number): string {
  return Number.isInteger(figure) ? shortNumber(figure) : '';
}

interface Chart {
  readonly kind: Kind;
  readonly says: HTMLElement;
  readonly place: HTMLElement;
  /** Made when it is first drawn. */
  plot: uPlot | null;
}

/** Those to be drawn: one queue's in a frame, so that with many queues no frame is long. */
const toDraw = new Set<Charts>();

function drawSoon(charts: Charts): void {
  toDraw.add(charts);
  if (toDraw.size === 1) requestAnimationFrame(drawNext);
}

function drawNext(): void {
  const [next] = toDraw;
  if (next === undefined) return;
  toDraw.delete(next);
  if (toDraw.size > 0) requestAnimationFrame(drawNext);
  next.draw();
}

export class Charts {
  readonly root = make('div', { class: 'instant-audience-charts' });
  private samples: Sample[] = [];
  private readonly charts = kinds.map((kind) => this.make(kind));
  private live: Sample | null = null;
  private usersLimit = 0;
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
    this.sizes.observe(this.root);
    this.sights.observe(this.root);
  }

  setHistory(samples: readonly Sample[]): void {
    this.samples = samples.slice(-mostSamples);
  }

  /** The current figures; stores a new sample. */
  update({ usersPerSecond, usersLimit, waiting, lastSample }: ShownQueue, nowMs: number): void {
    this.usersLimit = usersLimit;
    if (lastSample !== null && lastSample.atMs > (this.samples.at(-1)?.atMs ?? -Infinity)) {
      this.samples.push(lastSample);
      if (this.samples.length > mostSamples) this.samples.shift();
    }
    const { medianMs, slowMs } = lastSample ?? { medianMs: null, slowMs: null };
    this.live = { atMs: nowMs, usersPerSecond, waiting, medianMs, slowMs };
    this.drawIfSeen();
  }

  /** Writes the current figures into the captions, except where the pointer asks for others. Call while the card is open. */
  showFigures(): void {
    const { live } = this;
    if (live === null) return;
    for (const chart of this.charts) {
      const isPointedAt = (chart.plot?.cursor.left ?? -1) >= 0;
      const figures = chart.kind.lines.map(({ of }) => of(live));
      if (!isPointedAt) this.say(chart, figures);
    }
  }

  /** Draws only visible charts. */
  private drawIfSeen(): void {
    if (this.onScreen) drawSoon(this);
  }

  /** In its turn. */
  draw(): void {
    if (!this.onScreen || this.root.clientWidth === 0 || this.live === null) return;
    const samples = [...this.samples, this.live];
    const times = samples.map(({ atMs }) => atMs / 1000);
    for (const chart of this.charts) {
      chart.plot ??= this.plot(chart);
      const columns = chart.kind.lines.map(({ of }) => samples.map(of));
      chart.plot.setData([times, ...columns] as uPlot.AlignedData);
    }
  }

  private say({ kind, says }: Chart, figures: Figures): void {
    setText(says, kind.says(figures, this.usersLimit));
  }

  /** Takes its room at once, so that drawing it moves no button. */
  private make(kind: Kind): Chart {
    const says = make('span');
    // The caption has the figures, so screen readers skip the picture.
    const place = make('div', { 'aria-hidden': 'true' });
    place.style.height = `${heightPx}px`;
    const caption = make('figcaption', {}, make('span', {}, word(`chart.${kind.name}`)), says);
    this.root.append(make('figure', {}, caption, place));
    return { kind, says, place, plot: null };
  }

  private plot(chart: Chart): uPlot {
    return new uPlot(this.options(chart), [[], ...chart.kind.lines.map(() => [])], chart.place);
  }

  private options(chart: Chart): uPlot.Options {
    const { kind } = chart;
    const axis = {
      stroke: () => colour('--red-ui-primary-text-color'),
      font: '11px sans-serif',
      grid: { stroke: () => colour('--red-ui-secondary-border-color'), width: 1 },
      ticks: { show: false },
    };
    const limitOf = (): number => (kind.name === 'rate' ? this.usersLimit : 0);
    return {
      width: this.root.clientWidth,
      height: heightPx,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      // Half of a time stands right of the last one.
      padding: [6, 20, 0, 0],
      scales: {
        x: { time: true, range: () => this.rangeSeconds() },
        // From zero, so that small changes of a calm queue look small.
        y: { range: (_plot, _min, max) => [0, Math.max(max, limitOf()) * 1.1 || 1] },
      },
      axes: [
        { ...axis, space: 60, size: 20, values: (_plot, times) => times.map(clock) },
        { ...axis, space: 24, size: roomFor, values: (_plot, figures) => figures.map(kind.axis) },
      ],
      series: [
        {},
        ...kind.lines.map(({ colour: name, look }) => ({
          stroke: () => colour(name),
          width: 1.5,
          spanGaps: false,
          points: { show: false },
          ...(look === 'filled' && { fill: () => `color-mix(in srgb, ${colour(name)} 16%, transparent)` }),
          ...(look === 'dashed' && { dash: [4, 3] }),
        })),
      ],
      hooks: {
        draw: [(plot) => drawLimit(plot, limitOf())],
        setCursor: [
          (plot) => {
            const at = plot.cursor.idx ?? plot.data[0].length - 1;
            this.say(
              chart,
              plot.data.slice(1).map((column) => column[at] ?? null),
            );
          },
        ],
      },
    };
  }

  /** By the runtime's clock. */
  private rangeSeconds(): [number, number] {
    const now = (this.live?.atMs ?? Date.now()) / 1000;
    const seconds = now - (this.samples[0]?.atMs ?? now * 1000) / 1000;
    return [now - Math.min(mostSeconds, Math.max(fewestSeconds, seconds)), now];
  }

  private fit(): void {
    const width = this.root.clientWidth;
    if (width === 0) return;
    for (const { plot } of this.charts)
      if (plot !== null && plot.width !== width) plot.setSize({ width, height: heightPx });
    this.drawIfSeen();
  }

  destroy(): void {
    toDraw.delete(this);
    this.onScreen = false;
    this.sizes.disconnect();
    this.themes.disconnect();
    this.sights.disconnect();
    for (const chart of this.charts) {
      chart.plot?.destroy();
      chart.plot = null;
    }
  }
}

/** A dashed line over the whole width; nothing for 0. */
function drawLimit(plot: uPlot, limit: number): void {
  if (limit === 0) return;
  const { ctx, bbox } = plot;
  const y = plot.valToPos(limit, 'y', true);
  ctx.save();
  ctx.strokeStyle = colour(data);
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
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
