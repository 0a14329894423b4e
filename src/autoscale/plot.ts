import type { Sample } from './simulate.ts';

export interface Plotted {
  readonly name: string;
  /** Oldest first; each holds until the next. */
  readonly samples: readonly Sample[];
}

const width = 900;
const margin = { left: 60, right: 20, top: 34, bottom: 30 };
const panelHeight = 150;
const plotWidth = width - margin.left - margin.right;
/** More points than pixels show nothing more. */
const mostPoints = 2 * plotWidth;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const round = (value: number): string => String(Math.round(value * 10) / 10);

/** At most `mostPoints`, the highest of each stretch among them. */
function thinned(samples: readonly Sample[], value: (sample: Sample) => number): readonly Sample[] {
  if (samples.length <= mostPoints) return samples;
  const stretch = Math.ceil(samples.length / (mostPoints / 2));
  const kept: Sample[] = [];
  for (let at = 0; at < samples.length; at += stretch) {
    const part = samples.slice(at, at + stretch);
    const [first] = part;
    const highest = part.reduce((best, sample) => (value(sample) > value(best) ? sample : best), part[0] ?? assertNever());
    if (first !== undefined) kept.push(first);
    if (highest !== first) kept.push(highest);
  }
  return kept;
}

function assertNever(): never {
  throw new Error('a stretch of samples is empty');
}

/** As one stepped line. */
function path(samples: readonly Sample[], value: (sample: Sample) => number, endMs: number, most: number, top: number): string {
  const x = (ms: number): string => round(margin.left + (endMs === 0 ? 0 : (ms / endMs) * plotWidth));
  const y = (count: number): string => round(top + panelHeight - (count / most) * panelHeight);
  const points = thinned(samples, value);
  const [first] = points;
  if (first === undefined) return '';
  const steps = points.slice(1).map((sample) => `H${x(sample.atMs)}V${y(value(sample))}`);
  return `M${x(first.atMs)},${y(value(first))}${steps.join('')}H${x(endMs)}`;
}

function timeLabel(ms: number, endMs: number): string {
  if (endMs >= 2 * 3_600_000) return `${round(ms / 3_600_000)} h`;
  return endMs >= 180_000 ? `${round(ms / 60_000)} min` : `${round(ms / 1000)} s`;
}

interface Line {
  readonly label: string;
  readonly colour: string;
  readonly value: (sample: Sample) => number;
}

const replicaLines: readonly Line[] = [
  { label: 'replicas wanted', colour: '#9aa5b1', value: ({ wanted }) => wanted },
  { label: 'replicas that serve', colour: '#1f6feb', value: ({ running }) => running },
];
const requestLines: readonly Line[] = [
  { label: 'requests in flight', colour: '#2da44e', value: ({ inFlight }) => inFlight },
  { label: 'requests waiting', colour: '#cf222e', value: ({ waiting }) => waiting },
];

function panel(lines: readonly Line[], samples: readonly Sample[], endMs: number, top: number): string {
  const most = Math.max(1, ...lines.map(({ value }) => samples.reduce((high, sample) => Math.max(high, value(sample)), 0)));
  const legend = lines.map(
    ({ label, colour }, at) =>
      `<text x="${margin.left + 8 + at * 160}" y="${top + 14}" fill="${colour}" font-size="12">${escaped(label)}</text>`,
  );
  const axes = [
    `<rect x="${margin.left}" y="${top}" width="${plotWidth}" height="${panelHeight}" fill="none" stroke="#d0d7de"/>`,
    `<text x="${margin.left - 8}" y="${top + 10}" text-anchor="end" font-size="12" fill="#57606a">${most}</text>`,
    `<text x="${margin.left - 8}" y="${top + panelHeight}" text-anchor="end" font-size="12" fill="#57606a">0</text>`,
  ];
  const drawn = lines.map(
    ({ colour, value }) => `<path d="${path(samples, value, endMs, most, top)}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
  );
  return [...axes, ...drawn, ...legend].join('\n');
}

/** Replicas and requests over time, two panels for each model, as an SVG document. */
export function plot(models: readonly Plotted[], endMs: number): string {
  const each = 2 * panelHeight + 12 + margin.top + margin.bottom;
  const parts = models.map(({ name, samples }, at) => {
    const top = at * each + margin.top;
    const second = top + panelHeight + 12;
    const ticks = Array.from({ length: 7 }, (_, tick) => (tick / 6) * endMs).map(
      (ms, tick) =>
        `<text x="${round(margin.left + (tick / 6) * plotWidth)}" y="${second + panelHeight + 18}" text-anchor="middle" font-size="12" fill="#57606a">${timeLabel(ms, endMs)}</text>`,
    );
    return [
      `<text x="${margin.left}" y="${top - 12}" font-size="14" font-weight="600" fill="#24292f">${escaped(name)}</text>`,
      panel(replicaLines, samples, endMs, top),
      panel(requestLines, samples, endMs, second),
      ...ticks,
    ].join('\n');
  });
  const height = Math.max(1, models.length) * each;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">
<rect width="${width}" height="${height}" fill="#ffffff"/>
${parts.join('\n')}
</svg>
`;
}
