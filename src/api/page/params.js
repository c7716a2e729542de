// The editor of the model's parameters: fields for plain values, JSON for all, history and undo.
// Does not: know which parameters a model takes; the model says so by refusing.

import { ask, post, Refused } from "./api.js";
import { attempt, byId, clock, make, sentence, set } from "./words.js";

const MOST_HISTORY = 30;
const ids = ["params", "fields", "json", "json-error", "send", "undo", "params-state", "history", "as-fields", "as-json"];
const [form, fields, json, problem, send, undo, said, history, asFields, asJson] = ids.map(byId);

const TEXTS = {
  waiting: "Kept. The next job starts with them.",
  sending: "On the way to the model …",
  sent: "Sent. The model has not confirmed them yet …",
  applied: "Confirmed by the model.",
  refused: "Refused.",
  "not-confirmed": "Sent, not confirmed: the model neither reports nor refuses them.",
};

/** What the agent has, the number of its last change, what the editor has, and earlier parameters. */
let present = null;
let change = 0;
let draft = {};
let entries = [];
let key = "";

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const isEdited = () => present !== null && !same(draft, present);
const earlier = () => entries.find((entry) => !same(entry.params, present));

/** The object that a text means, or why it means none. */
function parse(text) {
  try {
    const value = JSON.parse(text.trim() || "{}");
    if (value && typeof value === "object" && !Array.isArray(value)) return { value };
    return { why: 'Parameters are a JSON object: { "name": value }.' };
  } catch (error) {
    const at = /position (\d+)/.exec(error.message);
    const line = at ? `Line ${text.slice(0, at[1]).split("\n").length}: ` : "";
    return { why: `${line}${error.message}` };
  }
}

function field(name, value) {
  const kind = { string: "text", number: "number", boolean: "checkbox" }[typeof value];
  const input = make(kind === "text" ? "textarea" : "input");
  if (kind === "text") input.rows = 1;
  else input.type = kind;
  input.id = `param-${name}`;
  input.step = "any";
  if (kind === "checkbox") input.checked = value;
  else input.value = value;
  input.oninput = () => {
    const isMissing = kind === "number" && Number.isNaN(input.valueAsNumber);
    input.ariaInvalid = isMissing;
    set(problem, isMissing ? `${name} takes a number.` : "");
    const values = { text: input.value, number: input.valueAsNumber, checkbox: input.checked };
    if (!isMissing) draft = { ...draft, [name]: values[kind] };
    json.value = JSON.stringify(draft, null, 2);
    showButtons();
  };
  const label = make("label", name);
  label.htmlFor = input.id;
  return make("div", "", `field ${kind}`, label, input);
}

/** Writes parameters into the editor. */
function fill(value) {
  draft = value;
  json.value = JSON.stringify(value, null, 2);
  json.ariaInvalid = false;
  set(problem, "");
  showFields();
  showButtons();
}

function showFields() {
  const isPlain = ([, value]) => ["string", "number", "boolean"].includes(typeof value);
  const plain = Object.entries(draft).filter(isPlain);
  const others = Object.keys(draft).length - plain.length;
  fields.replaceChildren(...plain.map(([name, value]) => field(name, value)));
  if (!plain.length) fields.append(make("p", "No plain parameter is set. Write the first one as JSON.", "hint"));
  if (others) fields.append(make("p", `Lists and objects (${others}) are shown as JSON.`, "hint"));
}

function showButtons() {
  send.disabled = !isEdited() || problem.textContent !== "";
  undo.disabled = !earlier();
}

function say(state, text) {
  said.dataset.state = state;
  set(said, text);
}

function sayState(state, why) {
  say(state, state === "refused" && why ? `Refused: “${why}”` : TEXTS[state]);
  if (same(entries[0]?.params, present)) entries[0].state = state;
  attempt(() => localStorage.setItem(key, JSON.stringify(entries)));
  showHistory();
}

/** Takes an answer of the agent. Edits that were not sent stay. */
function take(answer, isOwn) {
  const keepsEdits = isEdited() && !isOwn;
  ({ params: present, change } = answer);
  if (!same(entries[0]?.params, present)) {
    entries = [{ time: Date.now(), params: present }, ...entries].slice(0, MOST_HISTORY);
  }
  if (keepsEdits) showButtons();
  else if (!same(draft, present) || !fields.children.length) fill(present);
  sayState(answer.state, answer.why);
}

async function submit(value) {
  send.disabled = true;
  say("sending", TEXTS.sending);
  try {
    take(await post("params?mode=replace", value), true);
  } catch (error) {
    say("refused", error instanceof Refused ? sentence(error.message) : "The agent does not answer.");
  }
  showButtons();
}

/** Reads the present parameters. */
export async function load() {
  try {
    take(await (await ask("params")).json(), false);
  } catch (error) {
    if (error instanceof Refused && !present) say("refused", sentence(error.message));
  }
}

/** Takes an event of the agent. */
export function onParamsEvent({ type, change: number, reason }) {
  if (!type.startsWith("parameters_")) return;
  if (number === change) sayState(type.slice(11).replace("_", "-"), reason);
  else load();
}

function showHistory() {
  history.hidden = !entries.length;
  const items = entries.map(({ time, params, state }) => {
    const use = make("button", "Edit", "quiet");
    use.type = "button";
    use.ariaLabel = `Edit the parameters of ${clock(time)}`;
    use.onclick = () => {
      fill(params);
      (send.disabled ? json : send).focus();
    };
    const mark = make("span", same(params, present) ? "present" : (state ?? "").replace("-", " "), "mark");
    mark.dataset.state = state;
    return make("li", "", "", make("div", "", "", make("time", clock(time)), mark, use), make("code", JSON.stringify(params)));
  });
  history.querySelector("ol").replaceChildren(...items);
}

/** Reads the history of this instance; call it once its name is known. */
export function remember(instance) {
  key = `livepeer-edge-params-${instance}`;
  entries = attempt(() => JSON.parse(localStorage.getItem(key))) ?? [];
}

function view(isJson) {
  json.hidden = !isJson;
  fields.hidden = isJson;
  asJson.ariaPressed = isJson;
  asFields.ariaPressed = !isJson;
  if (!isJson) showFields();
}

json.oninput = () => {
  const { value, why = "" } = parse(json.value);
  set(problem, why);
  json.ariaInvalid = Boolean(why);
  draft = value ?? draft;
  showButtons();
};
// Fields cannot show a text that is not JSON.
asFields.onclick = () => !problem.textContent && view(false);
asJson.onclick = () => view(true);
undo.onclick = () => submit(earlier().params);
form.onsubmit = (event) => {
  event.preventDefault();
  if (!send.disabled) submit(draft);
};
form.onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
};
