// Shows the chain of states and announces its changes. Does not: judge; the agent does.

import { bits, byId, clock, fps, icon, lasting, LINKS, make, sentence, set, STATES, write } from "./words.js";

const list = byId("chain");
const notes = byId("notes");
const live = byId("live");
const shown = new Map();
let announced = null;

/** What moves through a link, in a few characters. */
const FACTS = {
  camera: ({ camera }) => fps(camera.fps),
  encoder: ({ encoder }) => (encoder.width ? `${encoder.width} × ${encoder.height}` : fps(encoder.fps)),
  uplink: ({ uplink }) => bits(uplink.bits_per_second),
  orchestrator: ({ job }) => job.orchestrator ?? "",
  model: ({ job }) => job.model ?? "",
  return: ({ returned }) => bits(returned.bits_per_second),
  outputs: ({ outputs }) => outputs.map(({ name }) => name).join(", ") || "none",
  payment: ({ payment }) => (payment.is_paid ? `${payment.payments} payments` : "nothing is paid"),
  clock: ({ time }) => clock(time * 1000),
};

function node(name) {
  const [word, fact, since] = ["word", "fact", "since"].map((kind) => make("span", "", kind));
  const texts = make("span", "", "texts", make("b", LINKS[name] ?? name), word, fact, since);
  const item = make("li", "", "", make("span", "", "badge", icon(name)), texts);
  list.append(item);
  return { item, word, fact, since };
}

/** Links that wait for the same reason share a note. */
function note(links, time) {
  const [link] = links;
  const { state, seconds, advice } = link;
  const names = links.map((each) => LINKS[each.link]).join(", ");
  const verb = state === "failed" ? "failed" : links.length > 1 ? "wait" : "waits";
  const since = ` since ${clock((time - seconds) * 1000)}, for ${lasting(seconds)}`;
  const texts = make("div", "", "", make("b", `${names} ${verb}`), make("span", since, "since"));
  if (link.why) texts.append(write(make("p"), reason(link)));
  if (advice) texts.append(make("p", "", "", make("b", "What to do: "), write(make("span"), sentence(advice))));
  const item = make("li", "", "note", icon(link.link), texts);
  item.dataset.state = state;
  return item;
}

/** Why a link has its state, without its name before it. */
export const reason = ({ link, why }) => sentence(why.replace(new RegExp(`^${link} failed: `), ""));

/** Announces links whose state has changed since the last report. */
function announce(chain) {
  const states = new Map(chain.map((link) => [link.link, link.state]));
  if (announced) {
    // A link that waits for another one that failed says nothing new.
    const told = chain.filter(({ link, state }) => state !== "waiting" && announced.get(link) !== state);
    const say = (link) => `${LINKS[link.link]} ${STATES[link.state].toLowerCase()}. ${link.state === "failed" ? reason(link) : ""}`;
    if (told.length) set(live, told.map(say).join(" "));
  }
  announced = states;
}

/** Shows the chain of a report. */
export function showChain(report) {
  for (const { link, state, seconds } of report.chain) {
    if (!shown.has(link)) shown.set(link, node(link));
    const { item, word, fact, since } = shown.get(link);
    item.dataset.state = state;
    set(word, STATES[state]);
    set(fact, FACTS[link]?.(report) ?? "");
    fact.title = fact.textContent;
    set(since, `for ${lasting(seconds)}`);
  }
  const groups = {};
  for (const link of report.chain) {
    if (link.state !== "ok") (groups[link.state + link.why] ??= []).push(link);
  }
  // What failed comes first.
  const wrong = Object.values(groups).sort(([a], [b]) => (b.state === "failed") - (a.state === "failed"));
  const fresh = make("ul", "", "", ...wrong.map((links) => note(links, report.time)));
  // Unchanged notes stay, so that a selection stays.
  if (fresh.innerHTML !== notes.innerHTML) notes.replaceChildren(...fresh.children);
  announce(report.chain);
}

/** The link that keeps the picture away, of the camera or of the model; none if video moves. */
export function cause(report, which) {
  const links = report.chain.slice(0, which === "input" ? 2 : 6);
  const of = (state) => links.find((link) => link.state === state);
  return of("failed") ?? of("waiting");
}
