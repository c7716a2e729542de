// The names and numbers of a report, and the diagnosis for a bug report. Does not: contain parameters or secrets.

import { recent } from "./events.js";
import { byId, clock, coins, fps, lasting, make, number, set, short, size } from "./words.js";

const [list, text, copied] = ["names", "diagnosis", "copied"].map(byId);
let latest = null;
let players = [];

function rows({ camera, encoder, queue, uplink, job, returned, round_trip, payment, device, labels, uptime }) {
  const { full, stale, lost } = queue.dropped;
  const all = [
    ["Camera", camera.name ?? "unknown"],
    ["Encoder", encoder.name ?? "none: the camera's own H.264"],
    ["Orchestrator", job.orchestrator ?? "none yet"],
    ["Model", job.model ?? "none yet"],
    ["Capability", job.capability],
    ["Picture", encoder.width && `${encoder.width} × ${encoder.height}, ${fps(encoder.fps)}`],
    ["Frames", `${number(encoder.frames)} sent, ${number(returned.frames)} returned, ${number(full + stale + lost)} dropped`],
    ["Video", `${size(uplink.bytes)} sent, ${size(returned.bytes)} returned`],
    ["Round trip", round_trip && `${short(round_trip.p50)}, 95 % ${short(round_trip.p95)}, 99 % ${short(round_trip.p99)}`],
    ["Jobs", `${number(job.starts)} started, ${number(job.swaps)} lost`],
    ["Lost and back", `network ${number(uplink.reconnects)} times, camera ${number(camera.losses)} times`],
    ["Price", payment.wei_per_hour != null && `${coins(payment.wei_per_hour)} an hour`],
    ["Spent", payment.is_paid && `${coins(payment.wei)} in ${number(payment.payments)} payments`],
    ["Temperature", device.temperature != null && `${number(device.temperature)} °C`],
    ["Slowed down by", device.throttling?.now.join(", ")],
    ["Running for", lasting(uptime)],
    ...Object.entries(labels ?? {}),
  ];
  return all.filter(([, value]) => value);
}

/** Shows a report. */
export function showNames(report, streams) {
  [latest, players] = [report, streams];
  const all = rows(report);
  if (list.children.length !== all.length) {
    list.replaceChildren(...all.map(() => make("div", "", "", make("dt"), make("dd"))));
  }
  all.forEach((row, nth) => [...list.children[nth].children].forEach((cell, at) => set(cell, row[at])));
  set(byId("version"), `livepeer-edge ${report.program}`);
}

/** The text of the diagnosis. */
function diagnosis() {
  if (!latest) return "no report has come";
  const link = ({ link, state, seconds, why, advice }) =>
    [`${link}: ${state} since ${clock((latest.time - seconds) * 1000)}`, why, advice].filter((part) => part).join("; ");
  const stream = ({ which, isLive, kind, why }) => `${which}: ${isLive ? "live" : "no picture"} ${kind} ${why}`.trimEnd();
  const parts = {
    chain: latest.chain.map(link),
    "names and numbers": rows(latest).map((row) => row.join(": ")),
    page: [...players.map(stream), navigator.userAgent],
    events: recent(),
  };
  return [
    `livepeer-edge ${latest.program}, ${new Date(latest.time * 1000).toISOString()}`,
    latest.summary,
    ...Object.entries(parts).flatMap(([name, lines]) => ["", name, ...lines.map((each) => `  ${each}`)]),
  ].join("\n");
}

byId("copy").onclick = async () => {
  text.value = diagnosis();
  let isCopied = true;
  try {
    await navigator.clipboard.writeText(text.value);
  } catch {
    // Only pages of this device, or with TLS, may use the clipboard.
    text.closest("details").open = true;
    text.select();
    isCopied = document.execCommand("copy");
  }
  set(copied, isCopied ? "Copied." : "Not copied: copy the selected text.");
  setTimeout(() => set(copied, ""), 4000);
};
text.closest("details").ontoggle = () => (text.value = diagnosis());
