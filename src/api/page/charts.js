// Draws the last 10 minutes as lines.
// Does not: know the time before the page was opened; the agent keeps no history.

import { bits, byId, clock, coins, fps, lasting, make, set, short } from "./words.js";

/** Seconds that are shown at most and at least, and seconds without a report after which a line is broken. */
const SPAN = 600;
const LEAST = 60;
const GAP = 5;
/** The width of a plot in its own units. */
const WIDTH = 600;

/** Each chart: its series, its texts, and the least value at its top. */
const CHARTS = [
  {
    title: "Frames",
    series: [["camera", (r) => r.camera.fps], ["model", (r) => r.returned.fps]],
    text: fps,
    least: 10,
  },
  {
    title: "Bitrate",
    series: [["sent", (r) => r.uplink.bits_per_second], ["returned", (r) => r.returned.bits_per_second]],
    text: bits,
    least: 250e3,
  },
  {
    title: "Round trip",
    series: [["median", (r) => r.round_trip?.p50], ["95 %", (r) => r.round_trip?.p95]],
    text: short,
    least: 0.05,
    none: () => "Unknown: returned frames cannot be matched to sent ones.",
  },
  {
    title: "Paid time",
    series: [["ahead", (r) => r.payment.seconds_paid_for]],
    text: lasting,
    least: 60,
    step: 60,
    none: (r) => (r.payment.is_paid ? "No job is being paid for." : "Nothing is paid: there is no signer."),
    more: (r) => (r.payment.wei_per_hour == null ? "" : `${coins(r.payment.wei_per_hour)} an hour`),
  },
];

/** Time and value of every series, once for each report. */
const points = [];
let latest = null;

/** Seconds that are shown now. */
const span = () => Math.min(SPAN, Math.max(LEAST, points.at(-1)[0] - points[0][0]));
/** Where the time is in a plot. */
const place = (time) => WIDTH * (1 - (points.at(-1)[0] - time) / span());

/** A round number at or above the value. */
function above(value, step) {
  if (step) return Math.ceil(value / step) * step;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 6, 8, 10].map((each) => each * power).find((each) => each >= value * 0.999);
}

class Chart {
  /** Its first series is in column `first` of the points. */
  constructor(kind, first) {
    this.kind = kind;
    this.columns = kind.series.map((_, nth) => first + nth);
    this.root = byId("chart").content.firstElementChild.cloneNode(true);
    this.find = (name) => this.root.querySelector(name);
    set(this.find(".title"), kind.title);
    if (kind.series[1]) this.find(".legend").append(...kind.series.map(([name], nth) => make("span", name, `s${nth}`)));
    const plot = this.find(".plot");
    plot.onpointermove = (event) => {
      const box = plot.getBoundingClientRect();
      this.cursor = ((event.clientX - box.left) / box.width) * WIDTH;
      this.draw();
    };
    plot.onpointerleave = () => {
      this.cursor = null;
      this.draw();
    };
    byId("charts").append(this.root);
  }

  /** The runs of a series, each a list of points; a run ends where reports are missing. */
  runs(column, most) {
    const runs = [];
    let last = -Infinity;
    for (const point of points) {
      if (point[column] == null) continue;
      if (point[0] - last > GAP) runs.push([]);
      [last] = point;
      runs.at(-1).push(`${place(last).toFixed(1)} ${(99 - (point[column] / most) * 96).toFixed(1)}`);
    }
    return runs;
  }

  draw() {
    if (!latest) return;
    const { kind, columns } = this;
    const values = points.flatMap((point) => columns.map((column) => point[column] ?? 0));
    const most = above(Math.max(kind.least, ...values), kind.step);
    const lines = columns.map((column) => this.runs(column, most));
    const path = (runs) => runs.map((run) => `M${run.join("L")}`).join("");
    lines.forEach((runs, nth) => this.find(`.line.s${nth}`).setAttribute("d", path(runs)));
    const x = (point) => point.split(" ")[0];
    const area = lines[0].map((run) => `M${run.join("L")}V100H${x(run[0])}Z`);
    this.find(".area").setAttribute("d", area.join(""));
    const isEmpty = !lines.flat().length;
    set(this.find(".none"), (isEmpty && kind.none?.(latest)) || "");
    set(this.find(".most"), isEmpty ? "" : kind.text(most));
    set(this.find(".axis span"), `${lasting(span())} ago`);
    this.say();
  }

  /** Writes the values at the cursor, or the present ones. */
  say() {
    let point = points.at(-1);
    let at = this.kind.more?.(latest) ?? "";
    let line = "";
    if (this.cursor != null) {
      const distance = ([time]) => Math.abs(place(time) - this.cursor);
      point = points.reduce((a, b) => (distance(b) < distance(a) ? b : a));
      at = clock(point[0] * 1000);
      line = `M${place(point[0])} 0V100`;
    }
    set(this.find(".at"), at);
    this.find(".cursor").setAttribute("d", line);
    const texts = this.columns.map((column) => (point[column] == null ? "–" : this.kind.text(point[column])));
    this.find(".value").replaceChildren(...texts.map((text, nth) => make("span", text, `s${nth}`)));
  }
}

let column = 1;
const charts = CHARTS.map((kind) => new Chart(kind, (column += kind.series.length) - kind.series.length));

/** Adds a report and draws. */
export function showCharts(report) {
  latest = report;
  // The clock of the device may be set back.
  if (points.length && report.time <= points.at(-1)[0]) points.length = 0;
  points.push([report.time, ...CHARTS.flatMap((kind) => kind.series.map(([, read]) => read(report) ?? null))]);
  points.splice(0, points.findIndex((point) => point[0] >= report.time - SPAN));
  points.splice(0, points.length - 2 * SPAN);
  for (const chart of charts) chart.draw();
}
