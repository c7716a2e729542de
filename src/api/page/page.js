// Starts the page: reports every second, events, both pictures. All of it stops while the tab is hidden.
// Does not: draw; the other files do.

import { ask, pause, post, readEvents, Refused } from "./api.js";
import { cause, reason, showChain } from "./chain.js";
import { showCharts } from "./charts.js";
import { showEvent } from "./events.js";
import { showNames } from "./names.js";
import { load, onParamsEvent, remember } from "./params.js";
import { Player } from "./player.js";
import { byId, clock, fps, icon, LINKS, make, set, short, STATES } from "./words.js";

const [stage, overall, silent, compare, wipe] = ["stage", "overall", "silent", "compare", "wipe"].map(byId);
const input = new Player("input", "Camera", moves, showCover);
const output = new Player("output", "Model", moves, showCover);
const players = [input, output];

let report = null;
let silentSince = null;
let running = null;
let wake = () => {};

/** Whether there is video to ask for. */
function moves(which) {
  return report && !cause(report, which) && (which === "input" || report.returned.bytes > 0);
}

/** Shows over a picture why it is not live. */
function showCover(player) {
  const { figure, isLive } = player;
  figure.dataset.live = isLive;
  if (isLive) return;
  const link = report && cause(report, player.which);
  let title = link ? `${LINKS[link.link]}: ${STATES[link.state].toLowerCase()}` : "Waiting for the picture";
  if (silentSince) title = "The agent does not answer";
  set(figure.querySelector(".cover b"), title);
  set(figure.querySelector(".cover p"), silentSince ? "" : link ? reason(link) : player.why);
}

function showOverall(state, word) {
  overall.dataset.state = state;
  set(overall.querySelector("span"), word);
  document.title = `${report?.instance ?? "livepeer-edge"}: ${word.toLowerCase()}`;
}

function showFacts({ figure, video }, name, rate) {
  const picture = video.videoWidth && `${video.videoWidth} × ${video.videoHeight}`;
  set(figure.querySelector(".facts"), [name, picture, fps(rate)].filter((part) => part).join(" · "));
}

function show(next) {
  const isFirst = report?.instance !== next.instance;
  report = next;
  const { chain, ready, instance, round_trip } = report;
  if (isFirst) {
    remember(instance);
    load();
  }
  if (chain.some((link) => link.state === "failed")) showOverall("failed", ready ? "Live, with trouble" : "Trouble");
  else showOverall(ready ? "ok" : "waiting", ready ? "Live" : "Starting");
  set(byId("instance"), instance);
  set(byId("summary"), report.summary);
  set(byId("trip"), round_trip?.p50 == null ? "–" : short(round_trip.p50));
  stage.dataset.flows = ready;
  showFacts(input, report.camera.name, report.camera.fps);
  showFacts(output, report.job.model, report.returned.fps);
  showChain(report);
  showCharts(report);
  showNames(report, players);
  players.forEach(showCover);
}

async function watchStatus(signal) {
  while (!signal.aborted) {
    const limit = new AbortController();
    const end = () => limit.abort();
    signal.addEventListener("abort", end);
    const timer = setTimeout(end, 8000);
    try {
      const next = await (await ask("status", { signal: limit.signal })).json();
      silentSince = null;
      silent.hidden = true;
      show(next);
    } catch (error) {
      if (signal.aborted) return;
      if (!byId("ask-token").open) showSilence(error);
    }
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    await Promise.race([pause(1000, signal), new Promise((resolve) => (wake = resolve))]);
  }
}

function showSilence(error) {
  silentSince ??= Date.now();
  const why = error instanceof Refused ? error.message : "Is it running, and is this device on the network?";
  set(silent, `No answer since ${clock(silentSince)}. ${why} This page tries again by itself.`);
  silent.hidden = false;
  showOverall("failed", "No answer");
  players.forEach(showCover);
}

function start() {
  if (running) return;
  running = new AbortController();
  watchStatus(running.signal);
  const onEvent = (event) => {
    showEvent(event);
    onParamsEvent(event);
    // The chain has changed, too. Models report often, so their events do not count.
    if (event.type !== "model") wake();
  };
  readEvents(running.signal, onEvent, () => report && load());
  for (const player of players) player.start();
}

function stop() {
  running?.abort();
  running = null;
  for (const player of players) player.stop();
}

/** Adds a button over a picture. */
function tool(player, symbol, label, onclick) {
  const button = make("button", "", "", icon(symbol));
  button.title = `${label}: ${player.name}`;
  button.ariaLabel = button.title;
  button.onclick = onclick;
  player.figure.querySelector(".tools").append(button);
}
for (const player of players) {
  const { video, which } = player;
  tool(player, "save", "Save the picture", async () => {
    const link = make("a");
    link.href = URL.createObjectURL(await (await ask(`snapshot.jpg?stream=${which}`)).blob());
    link.download = `${report.instance}-${which}.jpg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  tool(player, "full", "Full screen", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (!video.parentElement.requestFullscreen) video.webkitEnterFullscreen?.();
    else video.parentElement.requestFullscreen();
  });
}

// Both pictures in one place, with a border that moves.
compare.onclick = () => {
  const isOn = stage.classList.toggle("comparing");
  compare.ariaPressed = isOn;
  // The camera's picture waits for the processed one, so that both show the same moment.
  input.later = isOn ? Math.min(report?.round_trip?.p50 ?? 0, 5) : 0;
};
wipe.oninput = () => stage.style.setProperty("--wipe", `${wipe.value}%`);

byId("restart").onclick = async () => {
  if (!confirm("Close the job and start another one?")) return;
  const said = await post("restart", {}).then(() => "A new job is started.", (error) => `No new job: ${error.message}.`);
  set(byId("restarted"), said);
};

const follow = () => (document.hidden ? stop() : start());
document.addEventListener("visibilitychange", follow);
addEventListener("pagehide", stop);
addEventListener("pageshow", follow);
follow();
