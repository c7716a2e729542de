// Plays one live stream of the agent: by Media Source Extensions, or else by a picture every second.
// It stays live, connects again, and reports why there is no picture. Does not: play sound.

import { ask, pause, Refused } from "./api.js";
import { byId } from "./words.js";

/** Seconds between the newest frame and the one that is shown. */
const DELAY = 0.35;
/** Further behind than this, playback jumps forward. */
const BEHIND = 0.8;
/** Seconds of video that are kept behind the present one. */
const KEPT = 6;
/** Milliseconds without bytes after which the picture is not live. */
const QUIET = 3000;

const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;

/** Waits for an event; throws at an error or the signal. */
function once(target, name, signal) {
  return new Promise((resolve, reject) => {
    const listeners = [
      [target, name, () => finish(resolve)],
      [target, "error", () => finish(reject, new Error("the browser cannot play this video"))],
      [signal, "abort", () => finish(reject, signal.reason)],
    ];
    function finish(end, value) {
      for (const [on, event, listener] of listeners) on.removeEventListener(event, listener);
      end(value);
    }
    for (const [on, event, listener] of listeners) on.addEventListener(event, listener);
    if (signal.aborted) finish(reject, signal.reason);
  });
}

export class Player {
  /**
   * Shows the stream `which` in the figure of that id. `onChange` is called when the picture begins or ends. The stream
   * is asked for only while `moves` says that there is video.
   */
  constructor(which, name, moves, onChange) {
    Object.assign(this, { which, name, moves, onChange });
    this.figure = byId(which);
    this.figure.append(byId("video").content.cloneNode(true));
    const find = (selector) => this.figure.querySelector(selector);
    [this.video, this.image, this.button] = ["video", "img", ".play"].map(find);
    this.video.ariaLabel = this.image.alt = `Live picture of the ${name.toLowerCase()}`;
    find("figcaption b span").textContent = name;
    // Whether the picture is live, and else the agent's words for it.
    this.isLive = false;
    this.why = "";
    // Seconds by which the picture is shown later, so that two streams show the same moment.
    this.later = 0;
    this.kind = "";
    this.button.onclick = () => this.play();
  }

  /** Plays until `stop`. */
  start() {
    if (this.running) return;
    this.running = new AbortController();
    this.run(this.running.signal);
  }

  stop() {
    this.running?.abort();
    this.running = null;
    clearTimeout(this.silence);
    this.report(false, "");
  }

  report(isLive, why) {
    if (isLive === this.isLive && why === this.why) return;
    [this.isLive, this.why] = [isLive, why];
    this.onChange(this);
  }

  /** Bytes came. */
  moved() {
    this.report(true, "");
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.report(false, ""), QUIET);
  }

  async run(signal) {
    let wait = 500;
    while (!signal.aborted) {
      try {
        if (this.moves(this.which)) {
          await this.stream(signal, () => (wait = 500));
          this.report(false, "");
        }
      } catch (error) {
        wait = Math.min(wait * 2, 8000);
        if (!signal.aborted) this.report(false, error instanceof Refused ? error.message : "");
      }
      await pause(wait, signal);
    }
  }

  /** One connection. Returns or throws at its end. */
  async stream(signal, onVideo) {
    const answer = await ask(`${this.which}.mp4`, { signal });
    const type = answer.headers.get("content-type");
    if (!Source?.isTypeSupported(type)) {
      await answer.body.cancel();
      return this.pictures(signal);
    }
    this.show(this.video, "video");
    const media = new Source();
    this.video.disableRemotePlayback = true;
    const url = URL.createObjectURL(media);
    const reader = answer.body.getReader();
    try {
      const open = once(media, "sourceopen", signal);
      this.video.src = url;
      await open;
      const buffer = media.addSourceBuffer(type);
      this.play();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        await this.append(buffer, value, signal);
        onVideo();
        this.moved();
        this.stayLive(buffer);
      }
    } finally {
      URL.revokeObjectURL(url);
      reader.cancel().catch(() => {});
    }
  }

  async append(buffer, bytes, signal) {
    buffer.appendBuffer(bytes);
    await once(buffer, "updateend", signal);
    const { buffered } = buffer;
    const { currentTime } = this.video;
    if (buffered.length && buffered.start(0) < currentTime - 3 * KEPT) {
      buffer.remove(0, currentTime - KEPT);
      await once(buffer, "updateend", signal);
    }
  }

  /** Keeps the picture a constant time behind the newest frame. */
  stayLive(buffer) {
    const { buffered } = buffer;
    if (!buffered.length) return;
    const [first, last] = [buffered.start(buffered.length - 1), buffered.end(buffered.length - 1)];
    const { video } = this;
    const wanted = DELAY + this.later;
    const behind = last - video.currentTime;
    if (behind > wanted + BEHIND || video.currentTime < first - 0.05) {
      if (last - first > 0.05) video.currentTime = Math.max(first, last - wanted);
    } else if (behind > wanted + 0.25) video.playbackRate = 1.08;
    else if (behind < wanted * 0.5) video.playbackRate = 0.92;
    else if (Math.abs(behind - wanted) < 0.1) video.playbackRate = 1;
  }

  play() {
    this.video.play().then(
      () => (this.button.hidden = true),
      (error) => (this.button.hidden = error.name !== "NotAllowedError"),
    );
  }

  /** For browsers without Media Source Extensions. */
  async pictures(signal) {
    this.show(this.image, "pictures");
    while (!signal.aborted) {
      const answer = await ask(`snapshot.jpg?stream=${this.which}`, { signal });
      const url = URL.createObjectURL(await answer.blob());
      this.image.src = url;
      await this.image.decode().finally(() => URL.revokeObjectURL(url));
      this.moved();
      await pause(1000, signal);
    }
  }

  show(element, kind) {
    this.kind = kind;
    for (const each of [this.video, this.image]) each.hidden = each !== element;
  }
}
