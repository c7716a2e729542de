// Checks the page of an agent as users see it. `run` starts it as `check.mjs TEMPORARY [SCREENSHOTS]`. The agent, its
// camera's stream, the orchestrator and the browser are real. Does not: judge whether the page is beautiful; look at
// the screenshots.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { startAgent, startSandbox, stopAll } from "./agent.mjs";
import { Camera, drawScene } from "./camera.mjs";

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT_CORE);
const [temporary, shots] = process.argv.slice(2);
const LIMIT = 60_000;
/** The maximum time until a camera without frames is shown as failed. */
const DEAD = 5000;
const TOKEN = "a token of many bytes";
const DESKTOP = { width: 1320, height: 900 };
const PHONE = { width: 390, height: 844 };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // Chromium's sandbox does not work for root, who runs the tests in containers.
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});

/** Opens the page. Errors that must not happen on any page are collected in `wrong`. */
async function open(url, options = {}) {
  const { before, ...context } = options;
  const page = await (await browser.newContext({ viewport: DESKTOP, colorScheme: "light", ...context })).newPage();
  page.setDefaultTimeout(LIMIT);
  const wrong = [];
  const { origin } = new URL(url);
  page.on("request", (request) => {
    const isOwn = request.url().startsWith(origin) || /^(blob|data):/.test(request.url());
    if (!isOwn) wrong.push(`asks ${request.url()}`);
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`exception: ${error.stack}`));
  if (before) await page.addInitScript(before);
  await page.goto(url);
  const close = async () => {
    await page.context().close();
    assert.deepEqual(wrong, []);
  };
  return { page, wrong, close };
}

const isLive = (page, which, is = true) => page.waitForSelector(`#${which}[data-live=${is}]`);
const bothLive = (page) => Promise.all([isLive(page, "input"), isLive(page, "output")]);
const saysOverall = (page, text) => page.waitForSelector(`#overall:has-text("${text}")`);

/** The mean of red, green and blue of the present picture, and the contrast within the picture. */
function look(page, which) {
  return page.$eval(`#${which} video`, (video) => {
    const canvas = new OffscreenCanvas(64, 36);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 64, 36);
    const { data } = context.getImageData(0, 0, 64, 36);
    const mean = [0, 1, 2].map((colour) => {
      let sum = 0;
      for (let at = colour; at < data.length; at += 4) sum += data[at];
      return (sum * 4) / data.length;
    });
    const greens = [...data].filter((_, at) => at % 4 === 1);
    return { mean, contrast: Math.max(...greens) - Math.min(...greens), time: video.currentTime };
  });
}

const distance = (a, b) => Math.max(...a.mean.map((value, colour) => Math.abs(value - b.mean[colour])));

/** Waits until the condition holds. */
async function until(what, condition, limit = LIMIT) {
  const end = performance.now() + limit;
  while (!(await condition())) {
    assert(performance.now() < end, `${what}: not within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function bothPlay(page) {
  for (const which of ["input", "output"]) {
    const before = await look(page, which);
    await until(`${which} plays`, async () => (await look(page, which)).time > before.time + 1);
    const { mean, contrast } = await look(page, which);
    assert(Math.max(...mean) > 40 && contrast > 60, `${which} is not black: ${mean}, ${contrast}`);
  }
}

const checks = {
  async "both videos play, and stay live"({ url }) {
    const { page, close } = await open(url);
    await bothLive(page);
    await saysOverall(page, "Live");
    await bothPlay(page);
    await until("playback is live", () =>
      page.$$eval("video", (videos) => videos.every(({ buffered, currentTime }) => {
        const behind = buffered.end(buffered.length - 1) - currentTime;
        return behind < 1.2 && buffered.start(0) > currentTime - 30;
      })),
    );
    assert.equal(await page.title(), "harbour: live");
    assert.match(await page.textContent("#version"), /^livepeer-edge \d/);
    const names = await page.textContent("#names");
    for (const name of ["watercolour", "127.0.0.1:", "264"]) assert(names.includes(name), `${name}: ${names}`);
    await close();
  },

  async "a change of the parameters is visible in the picture, and can be undone"({ url }) {
    const { page, close } = await open(url);
    await bothLive(page);
    const same = async () => distance(await look(page, "input"), await look(page, "output")) < 25;
    await until("without an effect, both pictures are the same", same);
    await page.getByLabel("effect", { exact: true }).fill("coloreffects preset=heat");
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForSelector('#params-state:has-text("Confirmed by the model")');
    await until("the change is visible", async () => !(await same()));
    await shoot(page, "light");
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot(page, "dark", { ...DESKTOP, height: 1500 });
    await page.getByRole("button", { name: "Undo last change" }).click();
    await until("the change is undone", same);
    assert.equal(await page.inputValue("#param-effect"), "none");
    await page.getByText("Earlier parameters").click();
    assert((await page.locator("#history li").count()) >= 2);
    await close();
  },

  async "refused parameters are shown with the text of the model, and invalid JSON is not sent"({ url }) {
    const { page, close } = await open(url);
    await bothLive(page);
    await page.getByLabel("effect", { exact: true }).fill("filesrc");
    await page.keyboard.press("Control+Enter");
    await page.waitForSelector('#params-state:has-text("Refused: “")');
    assert.match(await page.textContent("#params-state"), /filesrc/);
    await page.getByRole("button", { name: "JSON" }).click();
    await page.fill("#json", '{ "effect": ');
    assert.notEqual(await page.textContent("#json-error"), "");
    assert(await page.isDisabled("#send"));
    await page.fill("#json", "[1]");
    assert.match(await page.textContent("#json-error"), /JSON object/);
    await page.fill("#json", '{ "prompt": "boats at sunset", "effect": "none", "strength": 0.6, "sharp": true }');
    await page.click("#send");
    await page.waitForSelector('#params-state:has-text("Confirmed by the model")');
    await close();
  },

  async "a camera without frames is shown as failed within 5 s, and as working after its return"({ url, camera }) {
    const { page, close } = await open(url, { colorScheme: "dark" });
    await bothLive(page);
    // A later announcement may replace this one.
    await page.$eval("#live", (live) => {
      globalThis.announced = [];
      new MutationObserver(() => announced.push(live.textContent)).observe(live, { childList: true });
    });
    camera.freeze(true);
    const began = performance.now();
    await page.waitForSelector('#chain li[data-state=failed] >> text="Camera"');
    const took = Math.round(performance.now() - began);
    console.log(`    shown as failed after ${took} ms`);
    assert(took <= DEAD, `${took} ms`);
    await isLive(page, "input", false);
    await page.waitForSelector('#notes >> text="What to do: "');
    await saysOverall(page, "Trouble");
    assert.match(await page.textContent("#input .cover"), /Camera: failed/);
    const announced = await page.evaluate(() => globalThis.announced);
    assert.match(announced.join(" "), /Camera failed/);
    await isLive(page, "output", false);
    await shoot(page, "trouble");
    camera.freeze(false);
    await bothLive(page);
    await saysOverall(page, "Live");
    await close();
  },

  async "nothing streams while the tab is hidden"({ url }) {
    const { page, close } = await open(url);
    const streams = new Set();
    const isStream = (request) => /\.mp4|\/events|\/status/.test(request.url());
    page.on("request", (request) => isStream(request) && streams.add(request));
    for (const end of ["requestfailed", "requestfinished"]) page.on(end, (request) => streams.delete(request));
    const setHidden = (is) =>
      page.evaluate((is) => {
        Object.defineProperty(document, "hidden", { configurable: true, value: is });
        document.dispatchEvent(new Event("visibilitychange"));
      }, is);
    await page.reload();
    await bothLive(page);
    await until("streams", () => streams.size >= 3);
    await setHidden(true);
    await until("no stream", () => streams.size === 0);
    await page.waitForTimeout(3000);
    assert.equal(streams.size, 0);
    await setHidden(false);
    await bothLive(page);
    await close();
  },

  async "on a phone, everything fits the width"({ url }) {
    const { page, close } = await open(url, { viewport: PHONE, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme: "dark" });
    await bothLive(page);
    await bothPlay(page);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width);
    const small = await page.$$eval("button, textarea, input", (all) =>
      all.filter((one) => one.offsetParent && one.getBoundingClientRect().height < 20).map((one) => one.outerHTML),
    );
    assert.deepEqual(small, []);
    await shoot(page, "phone", { ...PHONE, height: 1000 });
    await close();
  },

  async "every function works with the keyboard"({ url }) {
    const { page, close } = await open(url);
    await bothLive(page);
    const seen = [];
    /** Presses Tab until the element has the focus. Each element before it must show its focus. */
    const go = async (selector) => {
      for (let presses = 0; presses < 60; presses++) {
        await page.keyboard.press("Tab");
        const [isThere, outline, html] = await page.evaluate((selector) => {
          const { activeElement } = document;
          return [activeElement.matches(selector), getComputedStyle(activeElement).outlineStyle, activeElement.outerHTML.slice(0, 90)];
        }, selector);
        seen.push(html);
        if (html !== "<body>") assert.notEqual(outline, "none", html);
        if (isThere) return;
      }
      assert.fail(`${selector} is not reached: ${seen.join("\n")}`);
    };
    await go(".skip");
    await go("#compare");
    await page.keyboard.press("Enter");
    assert.equal(await page.getAttribute("#compare", "aria-pressed"), "true");
    await go("#wipe");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.inputValue("#wipe"), "51");
    await page.keyboard.press("Shift+Tab");
    await go("#as-json");
    await page.keyboard.press("Space");
    assert(await page.isVisible("#json"));
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Space");
    await go("#param-prompt");
    await page.keyboard.press("End");
    await page.keyboard.type(", calm");
    await page.keyboard.press("Control+Enter");
    await page.waitForSelector('#params-state:has-text("Confirmed by the model")');
    await go("#copy");
    await page.keyboard.press("Enter");
    await page.waitForSelector('#copied:has-text("Copied.")');
    await close();
  },

  async "a screen reader finds landmarks, names and changes"({ url }) {
    const { page, close } = await open(url);
    await bothLive(page);
    for (const role of ["banner", "main", "contentinfo"]) assert.equal(await page.getByRole(role).count(), 1, role);
    for (const name of ["Pictures", "From the camera and back", "The last 10 minutes", "Parameters", "Events", "Names and numbers", "Diagnosis"]) {
      assert.equal(await page.getByRole("region", { name, exact: true }).count(), 1, name);
    }
    assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
    const tree = await page.locator("body").ariaSnapshot();
    for (const line of tree.split("\n")) {
      assert(!/- (button|textbox|checkbox|spinbutton|slider|link|img)(:|$| \[)/.test(line), `without a name: ${line}`);
    }
    assert.equal(await page.getAttribute("#live", "role"), "status");
    await page.emulateMedia({ reducedMotion: "reduce" });
    const moving = await page.$$eval("*", (all) => all.filter((one) => getComputedStyle(one).animationName !== "none").length);
    assert.equal(moving, 0, "elements that move in spite of prefers-reduced-motion");
    await close();
  },

  async "a browser without media sources gets a picture every second"({ url }) {
    const before = () => {
      delete globalThis.MediaSource;
      delete globalThis.ManagedMediaSource;
    };
    const { page, close } = await open(url, { before });
    await bothLive(page);
    const source = () => page.getAttribute("#output img", "src");
    const first = await source();
    assert(await page.isVisible("#output img"));
    await until("another picture", async () => (await source()) !== first);
    await close();
  },

  async "the diagnosis contains the links and the names, but no parameters"({ url }) {
    const { page, close } = await open(url);
    await bothLive(page);
    await page.getByText("Show the text").click();
    await until("a text", async () => (await page.inputValue("#diagnosis")) !== "");
    const text = await page.inputValue("#diagnosis");
    for (const part of ["camera: ok", "Model: watercolour", "output: live", "HeadlessChrome"]) assert(text.includes(part), text);
    for (const part of ["sunset", "https://", "token"]) assert(!text.includes(part), text);
    await close();
  },

  async "an agent that has ended is shown as not answering"({ url, agent }) {
    const { page, wrong } = await open(url);
    await bothLive(page);
    await agent.stop();
    await page.waitForSelector('#silent:has-text("No answer since")');
    await saysOverall(page, "No answer");
    assert.match(await page.textContent("#input .cover"), /does not answer/);
    // The browser reports each refused connection as an error, which is expected here.
    assert.deepEqual(wrong.filter((line) => !/net::ERR_/.test(line)), []);
    await page.context().close();
  },

  async "the token is asked for once"({ orchestrator, fragment }) {
    const file = join(temporary, "token");
    writeFileSync(file, TOKEN, { mode: 0o600 });
    const { url, stop } = await startAgent(join(temporary, "with-token"), orchestrator, fragment, file);
    const { page, wrong } = await open(url);
    const dialog = page.getByRole("dialog", { name: "Token" });
    await dialog.waitFor();
    await page.keyboard.type("a wrong token, of many bytes");
    await page.keyboard.press("Enter");
    await dialog.getByText("That token is wrong.").waitFor();
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Enter");
    await bothLive(page);
    await page.reload();
    await bothLive(page);
    assert(!(await dialog.isVisible()));
    assert(!(await page.content()).includes(TOKEN));
    assert.deepEqual(wrong.filter((line) => !/\b401\b/.test(line)), []);
    await page.context().close();
    await stop();
  },
};

/** Writes a screenshot, if a folder for them was given. */
async function shoot(page, name, size = DESKTOP) {
  if (!shots) return;
  await page.setViewportSize(size);
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(1500);
  const picture = await page.screenshot();
  const studio = await browser.newPage();
  const packed = await studio.evaluate(async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.7 });
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, `data:image/png;base64,${picture.toString("base64")}`);
  await studio.close();
  await page.bringToFront();
  writeFileSync(join(shots, `${name}.webp`), Buffer.from(packed));
}

let failures = 0;
let camera = null;
try {
  camera = new Camera(await drawScene(browser));
  const fragment = await camera.listen();
  const orchestrator = await startSandbox();
  const agent = await startAgent(join(temporary, "agent"), orchestrator, fragment);
  const only = process.env.ONLY ?? "";
  for (const [name, check] of Object.entries(checks)) {
    if (!name.includes(only)) continue;
    const began = performance.now();
    try {
      await check({ url: agent.url, agent, camera, orchestrator, fragment });
      console.log(`ok      ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${name}\n${error.stack}\n--- log of the agent\n${agent.log().split("\n").slice(-20).join("\n")}`);
      camera.freeze(false);
    }
  }
} finally {
  await browser.close();
  camera?.close();
  stopAll();
}
process.exitCode = failures ? 1 : 0;
