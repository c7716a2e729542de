// Asks the agent: with the token, if it wants one. Does not: decide what is shown.

import { attempt, byId } from "./words.js";

const KEY = "livepeer-edge-token";
const dialog = byId("ask-token");
let asked = null;

/** The agent refuses a request, in these words. */
export class Refused extends Error {}

let token = attempt(() => sessionStorage.getItem(KEY));

/** Asks for the token; requests at the same time share one dialog. */
function askToken() {
  asked ??= new Promise((resolve) => {
    dialog.querySelector(".error").textContent = token ? "That token is wrong." : "";
    const field = dialog.querySelector("input");
    dialog.oncancel = (event) => event.preventDefault();
    dialog.onclose = () => {
      token = field.value.trim();
      attempt(() => sessionStorage.setItem(KEY, token));
      field.value = "";
      asked = null;
      resolve();
    };
    dialog.showModal();
  });
  return asked;
}

/**
 * Sends a request. Throws `Refused` when the agent refuses, and another error when it does not answer.
 * Credentials of the browser are left out, so that it shows no dialog of its own.
 */
export async function ask(path, options = {}) {
  for (;;) {
    const used = token;
    const headers = { ...options.headers, ...(used && { Authorization: `Bearer ${used}` }) };
    const answer = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
    if (answer.ok) return answer;
    if (answer.status !== 401) {
      const body = await answer.json().catch(() => null);
      throw new Refused(body?.error?.message ?? `the agent answers ${answer.status}`);
    }
    // Another request may have got the right token meanwhile.
    if (used === token) await askToken();
    options.signal?.throwIfAborted();
  }
}

/** Posts a JSON value and returns the JSON of the answer. */
export async function post(path, value) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(value) })).json();
}

/** Waits, or ends early with the signal. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}

/** Reads events until the signal ends it; connects again after a pause. `EventSource` cannot send a token. */
export async function readEvents(signal, onEvent, onConnected) {
  while (!signal.aborted) {
    try {
      const answer = await ask("events", { signal, headers: { Accept: "text/event-stream" } });
      onConnected();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          const data = block.split("\n").filter((line) => line.startsWith("data:"));
          if (data.length) onEvent(JSON.parse(data.map((line) => line.slice(5)).join("\n")));
        }
      }
    } catch {
      // The next attempt tells whether the agent is back.
    }
    await pause(2000, signal);
  }
}
