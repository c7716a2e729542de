// Writes figures, times and texts of the agent for people. Does not: read or draw anything else.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** What the work returns; undefined if it throws, as storage may. */
export function attempt(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** A number with so many decimals. */
export const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits });

/** A time of day. */
export const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString([], { hourCycle: "h23" });

/** A duration in one or two units. */
export function lasting(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(all / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  if (!minutes) return `${all} s`;
  return minutes < 10 && all % 60 ? `${minutes} min ${all % 60} s` : `${minutes} min`;
}

/** A short time, as of latencies. */
export function short(seconds) {
  if (seconds == null) return "unknown";
  return seconds < 1 ? `${number(seconds * 1000)} ms` : `${number(seconds, 2)} s`;
}

/** A rate in bits a second. */
export const bits = (rate) => (rate < 1e6 ? `${number(rate / 1e3)} kbit/s` : `${number(rate / 1e6, 1)} Mbit/s`);

/** A number of bytes. */
export const size = (bytes) => (bytes < 1e9 ? `${number(bytes / 1e6, 1)} MB` : `${number(bytes / 1e9, 2)} GB`);

/** Frames a second. */
export const fps = (rate) => `${number(rate, 1)} fps`;

/** An amount of wei, in the unit that fits. */
export function coins(wei) {
  if (wei == null) return "unknown";
  if (wei >= 1e14) return `${number(wei / 1e18, 6)} ETH`;
  return wei >= 1e5 ? `${number(wei / 1e9, 2)} gwei` : `${number(wei)} wei`;
}

/** Names of the links and of their states. */
export const LINKS = {
  camera: "Camera",
  encoder: "Encoder",
  uplink: "Uplink",
  orchestrator: "Orchestrator",
  model: "Model",
  return: "Return",
  outputs: "Outputs",
  payment: "Payment",
  clock: "Clock",
};
export const STATES = { ok: "Works", waiting: "Waits", failed: "Failed" };

/** The text as a sentence. */
export function sentence(text) {
  const trimmed = (text ?? "").trim();
  if (!trimmed) return "";
  return trimmed[0].toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

/** Writes a text into an element; what is between backticks becomes code. */
export function write(element, text) {
  const parts = text.split("`");
  element.replaceChildren(...parts.map((part, nth) => (nth % 2 ? make("code", part) : part)));
  return element;
}

/** A new element with a text, a class, and elements inside. */
export function make(tag, text = "", kind = "", ...inside) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (kind) element.className = kind;
  element.append(...inside);
  return element;
}

/** Changes a text only if it differs, so that a selection stays. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An icon of the page. Made by the HTML parser, which knows the namespace of SVG. */
export function icon(name) {
  const holder = document.createElement("template");
  holder.innerHTML = `<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><use href="#i-${name}"/></svg>`;
  return holder.content.firstChild;
}
