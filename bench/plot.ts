/** Outcomes as pictures: SVG, of bars and of curves. */
import { type Curves, type Figure, median, type Outcome } from "./measure.ts";
import { digits } from "./table.ts";

const font = 'font-family="system-ui, sans-serif" font-size="12"';
const labelWidth = 330;
const barWidth = 380;
const rowHeight = 20;
const titleHeight = 34;
const inks = ["#2563eb", "#dc2626", "#059669", "#9333ea", "#d97706"];

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${font} ${more}>${escapeText(content)}</text>`;
}

/** `title`: what there is to see, for those who do not. */
function svg(title: string, width: number, height: number, parts: string[]): string {
  const background = `<rect width="${width}" height="${height}" fill="#ffffff"/>`;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`;
  return `${[head, `<title>${escapeText(title)}</title>`, background, ...parts].join("\n")}\n</svg>\n`;
}

/** A bar as long as the median, and a line over the spread. */
function bar({ name, unit, samples }: Figure, y: number, greatest: number): string[] {
  const scale = (value: number) => labelWidth + (value / greatest) * barWidth;
  const middle = y + rowHeight / 2 - 3;
  const [least, most] = [Math.min(...samples), Math.max(...samples)].map(scale) as [number, number];
  const isFloor = /bare/.test(name);
  const ink = isFloor ? "#94a3b8" : /stowage/.test(name) ? inks[0] : "#475569";
  return [
    text(labelWidth - 8, y + 12, name, 'text-anchor="end"'),
    `<rect x="${labelWidth}" y="${y}" width="${(scale(median(samples)) - labelWidth).toFixed(1)}" height="${rowHeight - 6}" fill="${ink}"/>`,
    `<line x1="${least.toFixed(1)}" y1="${middle}" x2="${most.toFixed(1)}" y2="${middle}" stroke="#0f172a"/>`,
    text(Math.max(most, scale(median(samples))) + 6, y + 12, `${digits(median(samples))} ${unit}`),
  ];
}

/** All figures of the outcomes, by workload and unit, each with its own scale. */
export function barsOf(outcomes: Record<string, Outcome>): string {
  const parts: string[] = [];
  let y = 8;
  for (const [workload, { figures }] of Object.entries(outcomes)) {
    for (const [unit, group] of Map.groupBy(figures, (figure) => figure.unit)) {
      const greatest = Math.max(...group.flatMap(({ samples }) => samples));
      parts.push(text(8, y + 20, `${workload} (${unit})`, 'font-weight="bold"'));
      y += titleHeight;
      for (const figure of group) {
        parts.push(...bar(figure, y, greatest));
        y += rowHeight;
      }
    }
  }
  return svg("Medians of all workloads, with their spread", labelWidth + barWidth + 110, y + 10, parts);
}

const frame = { left: 70, top: 40, width: 560, height: 300 };

/** Medians over a logarithmic axis, from zero upward. */
export function curvesOf({ title, xName, unit, series }: Curves): string {
  const { left, top, width, height } = frame;
  const points = series.flatMap((each) => each.points);
  const xs = points.map(({ x }) => Math.log10(x));
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const highest = 1.2 * Math.max(...points.map(({ samples }) => median(samples)));
  const toX = (x: number) => left + ((Math.log10(x) - first) / (last - first || 1)) * width;
  const toY = (value: number) => top + height - (value / highest) * height;
  const parts = [
    text(left, 24, title, 'font-weight="bold"'),
    `<path d="M${left} ${top}V${top + height}H${left + width}" fill="none" stroke="#0f172a"/>`,
    text(left + width / 2, top + height + 36, xName, 'text-anchor="middle"'),
  ];
  for (const x of new Set(points.map((point) => point.x))) {
    parts.push(text(toX(x), top + height + 18, x.toLocaleString("en"), 'text-anchor="middle"'));
  }
  for (const share of [0, 0.5, 1]) {
    parts.push(
      text(left - 8, toY(highest * share) + 4, `${digits(highest * share)} ${unit}`, 'text-anchor="end"'),
    );
  }
  series.forEach(({ name, points: own }, index) => {
    const ink = inks[index % inks.length];
    const places = own.map(({ x, samples }) => `${toX(x).toFixed(1)},${toY(median(samples)).toFixed(1)}`);
    parts.push(`<polyline points="${places.join(" ")}" fill="none" stroke="${ink}" stroke-width="2"/>`);
    parts.push(text(left + width + 10, top + 14 + index * rowHeight, name, `fill="${ink}"`));
  });
  return svg(title, left + width + 150, top + height + 50, parts);
}
