// The list of events, in words. Does not: fetch them.

import { clock, lasting, make, sentence } from "./words.js";

const MOST = 100;
const list = document.getElementById("events");
const none = document.getElementById("no-events");
const lines = [];

/** What each type of event means; `{field}` stands for a field of the event. */
const WORDS = {
  started: "The agent started, version {version}",
  stopping: "The agent stops",
  configuration_applied: "The changed configuration is in use",
  configuration_refused: "The configuration is refused: {reason}",
  job_started: "Job started at {at}: {work}",
  job_moved: "The job moved from {from} to {to}",
  job_ended: "Job lost at {at}: {reason}",
  no_job: "No job: {reason}",
  job_wanted: "A job is wanted: {reason}",
  job_not_wanted: "No job is wanted: {reason}",
  camera_lost: "Camera lost: {reason}",
  camera_back: "The camera is back after {after_ms}",
  motion: "Something moves",
  motion_ended: "Nothing moves any more, after {after_ms}",
  uplink_trouble: "No video gets through to {at}",
  uplink_works: "Video gets through again",
  payment_trouble: "Payment failed: {reason}",
  payment_works: "Payments work again",
  budget_near: "Of the budget of {budget}, {left} is left",
  budget_short: "The budget of {budget} lasts until {until}, at {rate}",
  budget_spent: "The budget of {budget} is spent",
  budget_open: "The budget of {budget} allows jobs again",
  model_trouble: "The model reports trouble: {reason}",
  model_works: "The model works again",
  parameters_sent: "Parameters sent",
  parameters_applied: "Parameters confirmed by the model",
  parameters_refused: "Parameters refused: {reason}",
  parameters_not_confirmed: "Parameters sent, not confirmed",
  output_trouble: "Output {output}: {reason}",
  output_works: "Output {output} works again",
  events_lost: "{count} events were too fast for this page",
};
const BAD = /_(lost|trouble|refused|ended)$|^no_job$/;
const GOOD = /_(works|back|applied)$|^job_started$/;

/** The plain values in an object, with their names. Times in milliseconds say nothing to people. */
function plain(value, name = "") {
  if (/time/.test(name)) return [];
  if (typeof value !== "object") return [`${name.replaceAll("_", " ")} ${value}`];
  return Object.entries(value ?? {}).flatMap(([name, inner]) => plain(inner, name));
}

/** One line for an event. Unknown types and what a model reports are shown with their fields. */
function line(event) {
  const field = (name) => (name === "after_ms" ? lasting(event[name] / 1000) : event[name]);
  const words = WORDS[event.type];
  if (words) return sentence(words.replace(/\{(\w+)\}/g, (_, name) => field(name)));
  const { time, instance, number, type, ...rest } = event;
  const text = sentence(`${type}: ${plain(type === "model" ? event.event : rest).join(", ")}`);
  return text.length > 160 ? `${text.slice(0, 159)}…` : text;
}

/** Adds an event. An event like the last one replaces it and is counted. */
export function showEvent(event) {
  const text = line(event);
  // What a model reports often differs in its figures only.
  const kind = event.type === "model" ? `model ${event.event?.type}` : text;
  const isAgain = lines.at(-1)?.kind === kind;
  const times = isAgain ? lines.pop().times + 1 : 1;
  if (isAgain) list.firstElementChild.remove();
  lines.push({ time: event.time, type: event.type, text, kind, times });
  const item = make("li", "", "", make("time", clock(Date.parse(event.time))), make("span", text));
  if (times > 1) item.append(make("span", `× ${times}`, "mark"));
  item.dataset.state = BAD.test(event.type) ? "failed" : GOOD.test(event.type) ? "ok" : "";
  list.prepend(item);
  if (lines.length > MOST) {
    lines.shift();
    list.lastElementChild.remove();
  }
  none.hidden = true;
}

/** The last events for a diagnosis, without what the model or the user wrote. */
export function recent() {
  const own = lines.filter(({ type }) => WORDS[type] && !/^(parameters|model)/.test(type));
  return own.slice(-20).map(({ time, type, text }) => `${time} ${type}: ${text}`);
}
