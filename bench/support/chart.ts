// A picture of growth: panels side by side, each with a size below, such as the number of entries, and a quantity on the
// left. Both axes are linear, so that a straight line is a straight line.

export interface Growing {
  /** What grows, such as `entries`. */
  readonly what: string;
  readonly sizes: readonly number[];
  /** For screen readers. */
  readonly title: string;
}

export interface Panel {
  /** Of the axis on the left, with the unit. */
  readonly label: string;
  /** A value for each size; named where there are several. */
  readonly lines: readonly { readonly name?: string; readonly values: readonly number[] }[];
}

const [width, height] = [300, 200];
const [left, top, gap] = [70, 50, 80];
const colours = ['#0969da', '#bc4c00'];

export function growthChart(growing: Growing, panels: readonly Panel[]): string {
  const all = left + panels.length * (width + gap);
  const drawn = panels.map((panel, at) => drawPanel(growing, panel, left + at * (width + gap)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${all} ${top + height + 60}" role="img" aria-labelledby="title">
<title id="title">${growing.title}</title>
<style>
text { font: 13px system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #24292f; }
.axis { stroke: #8c959f; fill: none; } .line { fill: none; stroke-width: 2; }
</style>
<rect width="100%" height="100%" rx="8" fill="#ffffff" />
${drawn.join('\n')}
</svg>
`;
}

function drawPanel({ what, sizes }: Growing, { label, lines }: Panel, x0: number): string {
  const most = Math.max(...sizes);
  const highest = roundUp(Math.max(...lines.flatMap(({ values }) => values)));
  const bottom = top + height;
  const x = (count: number): string => (x0 + (width * count) / most).toFixed(1);
  const y = (value: number): string => (bottom - (height * Math.max(0, value)) / highest).toFixed(1);
  const out = [
    `<text x="${x0}" y="${top - 28}">${label}</text>`,
    `<path class="axis" d="M${x0} ${top}V${bottom}H${x0 + width}" />`,
    `<text x="${x0 + width}" y="${bottom + 44}" text-anchor="end">${what}</text>`,
  ];
  for (const share of [0, 0.5, 1]) {
    out.push(
      `<text x="${x0 - 8}" y="${bottom - height * share + 4}" text-anchor="end">${highest * share}</text>`,
      `<text x="${x0 + width * share}" y="${bottom + 22}" text-anchor="middle">${(most * share).toLocaleString('en-US')}</text>`,
    );
  }
  lines.forEach(({ name, values }, at) => {
    const colour = colours[at]!;
    const points = values.map((value, each) => [x(sizes[each]!), y(value)] as const);
    out.push(
      `<polyline class="line" stroke="${colour}" points="${points.map((point) => point.join(',')).join(' ')}" />`,
      ...points.map(([px, py]) => `<circle cx="${px}" cy="${py}" r="3.5" fill="${colour}" />`),
    );
    if (name !== undefined)
      out.push(`<text x="${x0 + 8}" y="${top - 8 + 18 * at}" style="fill:${colour}">${name}</text>`);
  });
  return out.join('\n');
}

/** To one digit that halves well. Memory may be below that of the idle process throughout. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((digit) => digit * power).find((each) => each >= value)!;
}
