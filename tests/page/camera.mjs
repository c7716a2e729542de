// The camera of the test: sends pictures as MJPEG over TCP, at a constant rate, until `freeze` is called. Does not: use
// a device or a network outside this computer.

import { createServer } from "node:net";
import { readFile } from "node:fs/promises";

const RATE = 24;
const PICTURES = 96;

/** Draws the pictures of the scene in a page of the browser. */
export async function drawScene(browser) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
  await page.setContent("<canvas width=1280 height=720></canvas>");
  await page.addScriptTag({ content: await readFile(new URL("scene.js", import.meta.url), "utf8") });
  const pictures = [];
  for (let nth = 0; nth < PICTURES; nth++) {
    const url = await page.evaluate((part) => {
      const canvas = document.querySelector("canvas");
      draw(canvas, part);
      return canvas.toDataURL("image/jpeg", 0.9);
    }, nth / PICTURES);
    pictures.push(Buffer.from(url.slice(url.indexOf(",") + 1), "base64"));
  }
  await page.close();
  return pictures;
}

export class Camera {
  /** A camera that shows these pictures again and again. */
  constructor(pictures) {
    this.pictures = pictures;
    this.isFrozen = false;
    this.sockets = new Set();
    this.server = createServer((socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      socket.on("error", () => {});
    });
  }

  /** The fragment of a pipeline that receives the camera. */
  async listen() {
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    const began = performance.now();
    let sent = 0;
    this.timer = setInterval(() => {
      const due = Math.floor(((performance.now() - began) * RATE) / 1000);
      // If the computer was busy, pictures are left out.
      if (due > sent && !this.isFrozen) this.send(this.pictures[due % PICTURES]);
      sent = due;
    }, 10);
    const { port } = this.server.address();
    return [
      `tcpclientsrc host=127.0.0.1 port=${port} do-timestamp=true`,
      "multipartdemux boundary=picture",
      `image/jpeg,framerate=${RATE}/1`,
      // If the computer is too slow, pictures are dropped here, so that none is late.
      "queue leaky=downstream max-size-buffers=2",
      "jpegdec",
    ].join(" ! ");
  }

  send(picture) {
    const head = `--picture\r\nContent-Type: image/jpeg\r\nContent-Length: ${picture.length}\r\n\r\n`;
    for (const socket of this.sockets) {
      // A slow reader loses pictures.
      if (socket.writableLength < 4 << 20) socket.write(Buffer.concat([Buffer.from(head), picture, Buffer.from("\r\n")]));
    }
  }

  /** Stops sending but keeps the connection, like a camera that hangs. */
  freeze(isFrozen) {
    this.isFrozen = isFrozen;
  }

  close() {
    clearInterval(this.timer);
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
