// Starts the program: the sandbox, or an agent with its API on a free port. Stops what it has started.
// Does not: build the program.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIMIT = 60_000;
const running = new Set();

/** Starts the program and waits for a line that matches. Returns the match, and a function that stops the program. */
async function start(args, pattern) {
  const child = spawn(process.env.AGENT, args, { stdio: ["ignore", "ignore", "pipe"] });
  running.add(child);
  let log = "";
  const match = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`livepeer-edge ${args[0]}: ${why}\n${log}`));
    const timer = setTimeout(() => fail(`no line like ${pattern}`), LIMIT);
    child.on("error", fail);
    child.on("exit", (code) => fail(`ended with ${code}`));
    child.stderr.on("data", (bytes) => {
      log = (log + bytes).slice(-100_000);
      const found = pattern.exec(log);
      if (!found) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
  const stop = () => {
    if (child.exitCode !== null) return Promise.resolve();
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    return ended;
  };
  return { match, stop, log: () => log };
}

/** Starts the sandbox; returns the URL of its orchestrator. */
export async function startSandbox() {
  const { match } = await start(["sandbox", "--listen", "127.0.0.1:0"], /orchestrator at (https:\S+),/);
  return match[1];
}

/** Starts an agent in a new folder. Returns the address of its page, and a function that stops the agent. */
export async function startAgent(folder, orchestrator, fragment, token) {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "harbour.toml");
  const text = (value) => JSON.stringify(value);
  const lines = [
    "[state]",
    `directory = ${text(folder)}`,
    "[source]",
    'kind = "pipeline"',
    `fragment = ${text(fragment)}`,
    "[orchestrator]",
    `urls = [${text(orchestrator)}]`,
    "[job]",
    'model = "watercolour"',
    'params = { prompt = "boats at sunset", effect = "none", strength = 0.6, sharp = true }',
    "[api]",
    'listen = "127.0.0.1:0"',
    ...(token ? [`token = ${text(`file:${token}`)}`] : []),
    "[status]",
    'instance = "harbour"',
  ];
  writeFileSync(config, lines.join("\n"));
  const agent = await start(["run", "--config", config], /API: (http:\S+)/);
  return { ...agent, url: agent.match[1].replace(/\/*$/, "/") };
}

/** Ends everything that was started. */
export function stopAll() {
  for (const child of running) child.kill("SIGKILL");
}
