// The soak as a picture: figures over time as an SVG, with what was done to it behind them.
import type { Sample } from './samples';

interface Line {
  readonly of: (sample: Sample) => number | null;
  readonly words: string;
  readonly colour: string;
  /** Rare points are shown as such. */
  readonly dots?: boolean;
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

const panels: readonly Panel[] = [
  {
    title: 'Memory of Node-RED, MB',
    lines: [
      { of: ({ rssMb }) => rssMb, words: 'resident', colour: '#3c6db8' },
      {
        of: ({ heapMb }) => heapMb,
        words: 'heap in use after a full collection',
        colour: '#b9830d',
        dots: true,
      },
    ],
  },
  {
    title: 'Handles',
    lines: [
      { of: ({ handles }) => handles, words: 'open files and sockets', colour: '#3c6db8' },
      { of: ({ resources }) => resources, words: 'active resources of Node.js', colour: '#b9830d' },
    ],
  },
  {
    title: 'Entries that wait',
    lines: [{ of: ({ counters }) => counters?.waiting ?? null, words: '', colour: '#4f7f74' }],
  },
  {
    title: 'Users accepted in a second',
    lines: [{ of: ({ counters }) => counters?.usersPerSecond ?? null, words: '', colour: '#4f7f74' }],
  },
];

const left = 64;
const width = 1040;
const height = 120;
const gap = 50;
const top = 66;

/** Times are those of the samples, of which there must be two at least. */
export function curve(samples: readonly Sample[], title: string, measuredFromMs: number): string {
  const first = samples[0]!.atMs;
  const last = samples.at(-1)!.atMs;
  const x = (atMs: number): number => round(left + ((atMs - first) / (last - first)) * width);
  const bottom = top + panels.length * (height + gap) - gap;
  const parts = [
    `<rect width="1120" height="${bottom + 60}" rx="8" fill="#ffffff" />`,
    `<text x="${left}" y="28" class="head">${escaped(title)}</text>`,
    ...panels.flatMap((panel, at) => drawn(panel, samples, x, top + at * (height + gap))),
    ...minutes(first, last, x, bottom),
    `<path d="M${x(measuredFromMs)} ${top - 8} V${bottom}" class="mark" />`,
    `<text x="${left}" y="${bottom + 42}" class="small">Grey: a trouble. Red: Node-RED was killed or stopped, and started again. Dashed: slopes are measured from here on.</text>`,
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 ${bottom + 60}" role="img" aria-labelledby="title">`,
    `<title id="title">${escaped(title)}</title>`,
    '<style>',
    "text { font: 13px system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #24292f; }",
    '.small { font-size: 12px; fill: #4b5560; } .head { font-weight: 600; font-size: 15px; }',
    '.axis { stroke: #c8ced4; stroke-width: 1; } .mark { stroke: #24292f; stroke-dasharray: 5 4; fill: none; }',
    '.line { fill: none; stroke-width: 1.3; } .trouble { fill: #eef0f2; } .life { stroke: #c33c32; stroke-width: 1.2; }',
    '</style>',
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function drawn(panel: Panel, samples: readonly Sample[], x: (atMs: number) => number, y0: number): string[] {
  const highest = roundUp(
    Math.max(...panel.lines.flatMap(({ of }) => samples.map(of)).filter((value) => value !== null)),
  );
  const y = (value: number): number => round(y0 + height - (value / highest) * height);
  const bands = runs(samples, ({ trouble }) => trouble)
    .filter(({ key }) => key !== '')
    .map(({ from, to }) => {
      const wide = Math.max(1, round(x(to) - x(from)));
      return `<rect x="${x(from)}" y="${y0}" width="${wide}" height="${height}" class="trouble" />`;
    });
  const lives = runs(samples, ({ life }) => String(life))
    .slice(1)
    .map(({ from }) => `<path d="M${x(from)} ${y0} V${y0 + height}" class="life" />`);
  const scale = [0, highest / 2, highest].flatMap((value) => [
    `<path d="M${left} ${y(value)} H${left + width}" class="axis" />`,
    `<text x="${left - 8}" y="${y(value) + 4}" text-anchor="end" class="small">${value.toLocaleString('en-US')}</text>`,
  ]);
  const legend = panel.lines
    .filter(({ words }) => words !== '')
    .map(({ words, colour }, at) => {
      const from = left + width - 560 + at * 250;
      return `<path d="M${from} ${y0 - 12} h18" stroke="${colour}" stroke-width="3" /><text x="${from + 24}" y="${y0 - 8}" class="small">${words}</text>`;
    });
  return [
    `<text x="${left}" y="${y0 - 8}">${panel.title}</text>`,
    ...bands,
    ...scale,
    ...lives,
    ...panel.lines.map((line) => drawnLine(line, samples, x, y)),
    ...legend,
  ];
}

function drawnLine(
  { of, colour, dots = false }: Line,
  samples: readonly Sample[],
  x: (atMs: number) => number,
  y: (value: number) => number,
): string {
  if (dots) {
    const points = samples.flatMap((sample) => {
      const value = of(sample);
      return value === null ? [] : [`<circle cx="${x(sample.atMs)}" cy="${y(value)}" r="2" />`];
    });
    return `<g fill="${colour}">${points.join('')}</g>`;
  }
  let path = '';
  let life = 0;
  for (const sample of samples) {
    const value = of(sample);
    if (value === null) continue;
    path += `${sample.life === life ? 'L' : 'M'}${x(sample.atMs)} ${y(value)}`;
    life = sample.life;
  }
  return `<path d="${path}" class="line" stroke="${colour}" />`;
}

/** Samples one after the other that have something in common; each ends where the next begins. */
function runs(
  samples: readonly Sample[],
  keyOf: (sample: Sample) => string,
): { key: string; from: number; to: number }[] {
  const found: { key: string; from: number; to: number }[] = [];
  for (const sample of samples) {
    const key = keyOf(sample);
    const last = found.at(-1);
    if (last !== undefined) last.to = sample.atMs;
    if (last?.key !== key) found.push({ key, from: sample.atMs, to: sample.atMs });
  }
  return found;
}

function minutes(first: number, last: number, x: (atMs: number) => number, bottom: number): string[] {
  const total = (last - first) / 60_000;
  const step = [1, 5, 10, 20, 30].find((candidate) => total / candidate <= 13) ?? 60;
  const marks: string[] = [];
  for (let at = 0; at <= total; at += step) {
    marks.push(
      `<text x="${x(first + at * 60_000)}" y="${bottom + 20}" text-anchor="middle" class="small">${at} min</text>`,
    );
  }
  return marks;
}

function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 10)));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((times) => times * unit).find((most) => most >= value)!;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
}
